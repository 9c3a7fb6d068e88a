// Loss, told truthfully: named frames are taken out of real captures, one kind of damage at a time,
// and what comes out is compared word for word with what must.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/damaged_capture.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"

namespace tcp_sniffer::loss_test {
namespace {

using pcapdamage::CaptureFile;

Frames frames_from_to(size_t first, size_t last) {
  Frames frames;
  for (size_t frame = first; frame <= last; frame++) frames.insert(frames.end(), frame);
  return frames;
}

uint64_t payload_of(const std::vector<FrameContent>& contents, const Frames& frames) {
  return std::accumulate(frames.begin(), frames.end(), uint64_t{0}, [&](uint64_t sum, size_t at) {
    return sum + contents[at - 1].payload_bytes;
  });
}

// "GET /a", "200 to GET /a", "200 to ?"; what is missing behind a comma.
std::vector<std::string> describe(const std::vector<Json>& lines) {
  std::map<std::pair<std::string, uint64_t>, std::string> requests;
  for (const Json& line : lines) {
    if (line["direction"] != "request") continue;
    requests[exchange_of(line)] =
        line["method"].get<std::string>() + " " + line["path"].get<std::string>();
  }
  std::vector<std::string> texts;
  for (const Json& line : lines) {
    std::string text;
    if (line["direction"] == "request") {
      text = requests.at(exchange_of(line));
    } else {
      text = line["statusCode"].dump() + " to ";
      text += line.contains("exchange") ? requests.at(exchange_of(line)) : "?";
    }
    if (line.contains("afterGap")) text += ", searched";
    if (line.contains("incomplete")) text += ", " + line["incomplete"].get<std::string>();
    if (line.contains("headersIncomplete")) text += " in headers";
    if (line.contains("missingBytes")) text += " of " + line["missingBytes"].dump();
    if (line.contains("bodyGaps")) text += " at " + line["bodyGaps"].dump();
    texts.push_back(text);
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

// One damage, and what it does to the messages it touches. All others come out as without it.
struct Loss {
  const char* name;
  const char* capture;
  Frames frames;
  std::vector<std::pair<std::string, std::string>> changed;  // without and with it; "" = gone
  // Where not all of the payload that was taken out can be known to be missing, and one byte more
  // than that where a FIN is gone with data before it: it takes a sequence number, too.
  std::optional<uint64_t> missing;
};

void PrintTo(const Loss& loss, std::ostream* out) {
  *out << loss.capture << " without " << testing::PrintToString(loss.frames);
}

std::vector<Loss> losses() {
  const char* download = "download.pcap";      // five exchanges one after the other
  const char* pipelining = "pipelining.pcap";  // nine in one segment; three in pieces
  const char* chunked = "chunked.pcap";
  const char* until_close = "http10_until_close.pcap";
  const char* posts = "posts.pcap";
  const std::string csv = "200 to GET /tides.csv";
  const std::string photo = "200 to GET /photo.bin";
  return {
      // ---- headers
      {"InTheMethodOfARequest",
       pipelining,
       {16},
       {{"GET /stream", ""},
        {"POST /echo", "POST /echo, searched"},
        {"200 to GET /stream", "200 to ?"},
        {"200 to POST /echo", "200 to ?"},
        {"404 to GET /nothing", "404 to ?"}},
       {}},
      {"InTheTargetOfARequest",
       pipelining,
       {18},
       {{"GET /stream", ""},
        {"POST /echo", "POST /echo, searched"},
        {"200 to GET /stream", "200 to ?"},
        {"200 to POST /echo", "200 to ?"},
        {"404 to GET /nothing", "404 to ?"}},
       {}},
      // The next request begins in the lost segment, so its body is searched through.
      {"InTheHeadersOfARequest",
       pipelining,
       {22},
       {{"GET /stream", "GET /stream, gap in headers"},
        {"POST /echo", ""},
        {"GET /nothing", "GET /nothing, searched"},
        {"200 to POST /echo", "200 to ?"},
        {"404 to GET /nothing", "404 to ?"}},
       {}},
      {"InTheHeadersOfTheLastRequest",
       pipelining,
       {32},
       {{"GET /nothing", "GET /nothing, gap in headers"}},
       {}},
      {"TheHeadersAndFirstBytesOfAResponse",
       download,
       {44},
       {{photo, ""}, {"200 to GET /api/products", "200 to GET /api/products, searched"}},
       {}},
      // Headers begin in the segment before; the FIN is lost with their end.
      {"InTheHeadersOfAResponseWithItsFin",
       pipelining,
       {10},
       {{"200 to GET /app.js", "200 to GET /app.js, gap in headers"}},
       330 + 1},
      // ---- a body of known length
      {"InABody", download, {45}, {{photo, photo + ", gap of 1448 at [[1192,1448]]"}}, {}},
      {"ThreeSegmentsOfABody",
       download,
       {19, 20, 21},
       {{csv, csv + ", gap of 4344 at [[6983,4344]]"}},
       {}},
      {"InTwoPlacesOfABody",
       download,
       {45, 61},
       {{photo, photo + ", gap of 2896 at [[1192,1448],[20016,1448]]"}},
       {}},
      {"InTwoBodies",
       download,
       {41, 90},
       {{csv, csv + ", gap of 1089 at [[22911,1089]]"},
        {photo, photo + ", gap of 888 at [[59112,888]]"}},
       {}},
      {"TheEndOfABody", download, {90}, {{photo, photo + ", gap of 888 at [[59112,888]]"}}, {}},
      {"InTheBodyOfARequest",
       posts,
       {28},
       {{"PUT /api/upload", "PUT /api/upload, gap of 1448 at [[10136,1448]]"}},
       {}},
      {"InASmallBodyOfARequest",
       pipelining,
       {28},
       {{"POST /echo", "POST /echo, gap of 11 at [[5,11]]"}},
       {}},
      {"TheEndOfABodyAndTheNextHead",
       pipelining,
       {30},
       {{"POST /echo", "POST /echo, gap of 2 at [[16,2]]"},
        {"GET /nothing", ""},
        {"404 to GET /nothing", "404 to ?"}},
       {}},
      {"InABodyThatTheConnectionEnds",
       until_close,
       {8},
       {{"200 to GET /stream", "200 to GET /stream, gap of 24 at [[24,24]]"}},
       {}},
      // ---- chunks
      {"InTheDataOfAChunk",
       chunked,
       {23},
       {{"200 to GET /gzip", "200 to GET /gzip, gap of 1448 at [[1452,1448]]"}},
       {}},
      // What comes behind a lost chunk size cannot be told from data: how much is missing is not
      // known, and the rest of the body is passed over.
      {"AChunkSizeAndDataBehindIt",
       chunked,
       {22},
       {{"200 to GET /gzip", "200 to GET /gzip, gap"}},
       {}},
      {"AWholeChunk",
       chunked,
       {8},
       {{"200 to GET /stream", "200 to GET /stream, gap"},
        {"200 to GET /trailers", "200 to GET /trailers, searched"}},
       {}},
      {"AWholeChunkOfARequest", chunked, {62}, {{"POST /echo", "POST /echo, gap"}}, {}},
      {"TheLastChunk",
       chunked,
       {16},
       {{"200 to GET /stream", "200 to GET /stream, gap"},
        {"200 to GET /trailers", "200 to GET /trailers, searched"}},
       {}},
      {"TheLastChunkWithTrailers", chunked, {66}, {{"POST /echo", "POST /echo, gap"}}, {}},
      // ---- between messages
      {"AnAcknowledgment", download, {42}, {}, {}},
      {"EveryAcknowledgmentOfABody",
       download,
       {14, 15, 16, 17, 18, 24, 25, 26, 27, 28, 35, 36, 37, 38, 39, 40, 42},
       {},
       {}},
      {"AWholeRequest",
       download,
       {43},
       {{"GET /photo.bin", ""},
        {photo, "200 to ?"},
        {"GET /api/products", "GET /api/products, searched"}},
       {}},
      // Nothing says that the answer to a lost HEAD has no body; what it announces is missing.
      {"AHeadRequest",
       "site_and_api.pcap",
       {36},
       {{"HEAD /shop", ""}, {"301 to HEAD /shop", "301 to ?, closed of 169"}},
       {}},
      {"TheFirstRequest",
       download,
       {4},
       {{"GET /style.css", ""},
        {"200 to GET /style.css", "200 to ?"},
        {"GET /tides.csv", "GET /tides.csv, searched"}},
       {}},
      {"AWholeResponse",
       download,
       {93},
       {{"200 to GET /api/products", ""}, {"200 to GET /app.js", "200 to GET /app.js, searched"}},
       {}},
      {"TheLastResponse", download, {96}, {{"200 to GET /app.js", ""}}, {}},
      {"ARequestAndItsResponse",
       download,
       {92, 93},
       {{"GET /api/products", ""},
        {"200 to GET /api/products", ""},
        {"GET /app.js", "GET /app.js, searched"},
        {"200 to GET /app.js", "200 to GET /app.js, searched"}},
       {}},
      {"SeveralMessagesOfBothSides",
       download,
       frames_from_to(43, 94),
       {{"GET /photo.bin", ""},
        {photo, ""},
        {"GET /api/products", ""},
        {"200 to GET /api/products", ""},
        {"GET /app.js", "GET /app.js, searched"},
        // So many bytes of the client may be more requests than were lost.
        {"200 to GET /app.js", "200 to ?, searched"}},
       {}},
      {"TheEndOfABodyAndTheNextMessages",
       download,
       frames_from_to(41, 44),
       {{csv, csv + ", gap of 1089 at [[22911,1089]]"},
        {"GET /photo.bin", ""},
        {photo, ""},
        {"GET /api/products", "GET /api/products, searched"},
        {"200 to GET /api/products", "200 to GET /api/products, searched"}},
       {}},
      {"AllPipelinedRequests",
       pipelining,
       {4},
       {{"GET /", ""},
        {"HEAD /style.css", ""},
        {"GET /style.css", ""},
        {"GET /style.css", ""},
        {"POST /api/cart", ""},
        {"DELETE /api/cart/17/items/2", ""},
        {"GET /missing.html", ""},
        {"HEAD /missing.html", ""},
        {"GET /app.js", ""},
        {"200 to GET /", "200 to ?"},
        {"200 to HEAD /style.css", "200 to ?"},
        {"200 to GET /style.css", "200 to ?"},
        {"304 to GET /style.css", "304 to ?"},
        {"201 to POST /api/cart", "201 to ?"},
        {"204 to DELETE /api/cart/17/items/2", "204 to ?"},
        {"404 to GET /missing.html", "404 to ?"},
        {"404 to HEAD /missing.html", "404 to ?"},
        {"200 to GET /app.js", "200 to ?"}},
       {}},
      // ---- beginning and end of the connection
      {"TheSyn", download, {1}, {}, {}},
      {"TheSynOfTheServer", download, {2}, {}, {}},
      {"TheHandshake",
       download,
       {1, 2, 3},
       {{"GET /style.css", "GET /style.css, searched"},
        {"200 to GET /style.css", "200 to GET /style.css, searched"}},
       {}},
      {"TheFinOfTheClient", download, {98}, {}, {}},
      {"TheFinOfTheServer", download, {99}, {}, {}},
      {"BothFins", download, {98, 99, 100}, {}, {}},
      // Nothing that was captured says that there was a beginning before the second exchange ...
      {"TheHandshakeAndTheFirstExchange",
       download,
       frames_from_to(1, 7),
       {{"GET /style.css", ""},
        {"200 to GET /style.css", ""},
        {"GET /tides.csv", "GET /tides.csv, searched"},
        {csv, csv + ", searched"}},
       0},
      // ... or an end behind the last request.
      {"TheLastResponseAndAllBehindIt",
       download,
       frames_from_to(96, 100),
       {{"200 to GET /app.js", ""}},
       0},
      {"TheSynAndTheFirstRequest",
       download,
       {1, 4},
       {{"GET /style.css", ""},
        {"200 to GET /style.css", "200 to ?"},
        {"GET /tides.csv", "GET /tides.csv, searched"}},
       {}},
  };
}

class LostFrames : public testing::TestWithParam<std::tuple<Loss, const char*>> {};

TEST_P(LostFrames, ChangeOnlyWhatTheyCarried) {
  const auto& [loss, shards] = GetParam();
  const CaptureFile whole = load_capture(capture(loss.capture));
  const std::vector<Json> truth = json_lines(read_whole(capture(loss.capture).string()).out);
  std::vector<std::string> expected = describe(truth);
  for (const auto& [before, after] : loss.changed) {
    const auto found = std::find(expected.begin(), expected.end(), before);
    ASSERT_NE(found, expected.end()) << before;
    expected.erase(found);
  }
  for (const auto& [before, after] : loss.changed) {
    if (!after.empty()) expected.push_back(after);
  }
  std::sort(expected.begin(), expected.end());

  const Finished run = read_without(whole, loss.frames, shards);
  const std::vector<Json> lines = json_lines(run.out);
  EXPECT_EQ(describe(lines), expected);
  expect_truthful(truth, lines);
  const Json stopped = event_named(run.err, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["bytes"]["missing"],
            loss.missing.value_or(payload_of(contents_of(whole), loss.frames)));
}

INSTANTIATE_TEST_SUITE_P(Pcaps, LostFrames,
                         testing::Combine(testing::ValuesIn(losses()), testing::Values("0", "2")),
                         [](const auto& of) {
                           return std::string(std::get<0>(of.param).name) + "With" +
                                  std::get<1>(of.param) + "Shards";
                         });

}  // namespace
}  // namespace tcp_sniffer::loss_test
