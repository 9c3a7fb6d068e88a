// HttpDirection: what is not HTTP, and how the next message is found.

#include <cstring>
#include <new>
#include <utility>

#include "core/base/limits.h"
#include "core/http/direction.h"
#include "core/http/known_methods.h"
#include "core/http/stream_sample.h"

namespace tcp_sniffer {

void HttpDirection::start_search(bool direct) {
  release_open_message();
  here_.phase = http_.tunnel ? HttpPhase::kTunnel : HttpPhase::kSearch;
  here_.unplaced = false;
  here_.direct = direct;
  here_.inside = false;
  here_.order_lost = true;
  here_.lossy |= direct;
}

// Which messages this side may send, where that is certain.
MessageFinder::Wanted HttpDirection::wanted_messages() const {
  const Roles& roles = context_.identity.roles;
  if (!roles.certain()) return MessageFinder::Wanted::kBoth;
  return roles.serves(side_) ? MessageFinder::Wanted::kResponses : MessageFinder::Wanted::kRequests;
}

// Whether a message of this side can only begin where a segment does. A client that waits for each
// answer has nothing to put in front of its next request in the same segment, and neither has the
// server in front of its answer. That the client waits shows in the requests that were seen; for
// the answers no request may be missing.
bool HttpDirection::starts_at_segments(MessageFinder::Wanted wanted) {
  if (!here_.lossy || http_.surely_pipelines) return false;
  if (wanted == MessageFinder::Wanted::kRequests) return http_.next_exchange >= 2;
  return wanted == MessageFinder::Wanted::kResponses && http_.next_exchange >= 1 && !peer().lossy;
}

// Made when there is none; nullptr: no memory.
MessageSearch* HttpDirection::take_search(OpenMessage* open) {
  if (open == nullptr) return nullptr;
  if (open->search != nullptr) return open->search;
  const Buffer memory = engine_.pool_.allocate(sizeof(MessageSearch));
  if (memory) open->search = new (memory.data) MessageSearch;
  return open->search;
}

void HttpDirection::release_search(OpenMessage& open) {
  if (open.search == nullptr) return;
  open.search->line.release(engine_.pool_);
  Buffer memory{reinterpret_cast<uint8_t*>(open.search),
                BufferPool::capacity_of(sizeof(MessageSearch))};
  engine_.pool_.release(memory);
  open.search = nullptr;
}

// Whether the few bytes of a segment are the beginning of a version or a known method.
bool HttpDirection::is_beginning(std::string_view text, MessageFinder::Wanted wanted) {
  constexpr std::string_view kVersion = "HTTP/1.";
  if (wanted == MessageFinder::Wanted::kRequests) return begins_known_method(text);
  return text.starts_with(kVersion) || kVersion.starts_with(text);
}

// Passes over the segment unless it begins like a message, and acknowledges something that the one
// before did not: the answer to what went before, or the next question.
size_t HttpDirection::search_at_segments(const Input& input, MessageFinder::Wanted wanted) {
  // Less than a method or version may be: the rest comes with the next segment.
  constexpr size_t kLittle = 32;
  here_.direct = false;
  if (here_.open != nullptr && here_.open->search != nullptr &&
      here_.open->search->finder.searching()) {
    release_open_message();
  }
  MessageSearch* search = take_search(take_open_message());
  if (search == nullptr) release_open_message();
  size_t passed = input.text.size();
  const bool has_beginning =
      input.segment >= input.offset && input.segment - input.offset < input.text.size();
  if (search != nullptr && has_beginning) {
    const auto before = static_cast<size_t>(input.segment - input.offset);
    const std::string_view text = input.text.substr(before);
    const StartGuess guess = guess_start(text, StartContext::kAfterLoss);
    const bool fits = guess == (wanted == MessageFinder::Wanted::kRequests ? StartGuess::kRequest
                                                                           : StartGuess::kResponse);
    const uint64_t before_ack = search->acknowledged;
    const bool nothing_new = before_ack != 0 && before_ack == input.meta.acknowledged;
    const bool is_cut = guess == StartGuess::kMaybe && text.size() < kLittle;
    // With nothing to compare it may be the end of a method whose beginning is lost.
    const bool begins = before_ack == 0 ? (fits && starts_like_message(text)) ||
                                              (is_cut && is_beginning(text, wanted))
                                        : fits || is_cut;
    if (begins && !nothing_new) {
      if (before == 0) {
        begin_candidate(input.offset, input.meta);
        here_.open->known_only = before_ack == 0;
        return 0;
      }
      passed = before;
    } else {
      search->acknowledged = input.meta.acknowledged;
    }
  }
  engine_.counters_.add(ShardCounter::skipped_in_resync, passed);
  if (wanted == MessageFinder::Wanted::kRequests) note_unseen(passed);
  return passed;
}

size_t HttpDirection::search(const Input& input) {
  const MessageFinder::Wanted wanted = wanted_messages();
  const bool untouched = here_.direct && here_.open == nullptr;
  if (untouched) {
    // Right after the loss: most often a message begins with the segment.
    here_.direct = false;
    const StartGuess guess = guess_start(input.text, StartContext::kAfterLoss);
    if (((guess == StartGuess::kRequest && wanted != MessageFinder::Wanted::kResponses) ||
         (guess == StartGuess::kResponse && wanted != MessageFinder::Wanted::kRequests)) &&
        starts_like_message(input.text)) {
      // Refused before anything is remembered: what comes in front of it may move its place.
      if (!input.force &&
          ((here_.unplaced && !here_.started && !peer().started && must_hold_back()) ||
           (guess == StartGuess::kResponse &&
            response_room(input.text, input.offset, true, false) == 0))) {
        here_.direct = true;
        return kRefused;
      }
      return begin_head(input, true);
    }
    if (!here_.started && (guess == StartGuess::kTls || guess == StartGuess::kHttp2)) {
      return not_a_message(input);
    }
    here_.direct = true;
    if (!here_.started && !input.force && must_hold_back()) return kRefused;
  }
  if (starts_at_segments(wanted)) {
    return search_at_segments(input, wanted);
  }
  MessageSearch* search = take_search(take_open_message());
  const MessageFinder::StartsAt starts_at = here_.direct ? MessageFinder::StartsAt::kGap
                                            : here_.inside
                                                ? MessageFinder::StartsAt::kInsideLine
                                                : MessageFinder::StartsAt::kBehindLineFeed;
  if (search == nullptr || !search->start(engine_.pool_, starts_at, wanted)) {
    release_open_message();
    engine_.counters_.add(ShardCounter::skipped_in_resync, input.text.size());
    return input.text.size();
  }
  here_.direct = here_.inside = false;
  const MessageFinder::Candidate candidate = search->finder.search(input.text);
  if (!candidate.found) {
    note_skipped();
    engine_.counters_.add(ShardCounter::skipped_in_resync, input.text.size());
    search->searched_bytes += input.text.size();
    if (!here_.started && search->searched_bytes > kSearchBytesMax) {
      ignore_stream(StreamNature::kUnknown, {});
    }
    return input.text.size();
  }
  if (candidate.offset > candidate.kept.size()) note_skipped();
  // The kept bytes were counted as skipped when they came.
  engine_.counters_.add(ShardCounter::skipped_in_resync, candidate.offset);
  engine_.counters_.subtract(ShardCounter::skipped_in_resync, candidate.kept.size());
  here_.open->head = search->take_kept(candidate);
  if (candidate.offset == input.text.size()) {
    begin_candidate(input.offset + candidate.offset, input.meta);
    return candidate.offset;
  }
  if (untouched && candidate.offset == 0 && !input.force &&
      guess_start(input.text, StartContext::kAfterLoss) != StartGuess::kRequest &&
      response_room(input.text, input.offset, true, false) == 0) {
    release_open_message();
    here_.direct = true;
    return kRefused;
  }
  begin_candidate(input.offset + candidate.offset - candidate.kept.size(), input.meta);
  return candidate.offset;
}

// The first bytes of a stream met in its middle wait for the connection's next segment: captures
// reorder, and what the sender sent before them may still come.
bool HttpDirection::must_hold_back() {
  const auto frame = static_cast<uint32_t>(context_.frame);
  if (here_.held_frame == 0) here_.held_frame = frame;
  return frame == 0 || here_.held_frame == frame;
}

// A message may begin at `offset`; its first bytes, if any, are in the open message.
void HttpDirection::begin_candidate(uint64_t offset, const SegmentMeta& meta) {
  OpenMessage& open = *here_.open;
  release_search(open);
  open.progress = {};
  open.first = open.last = meta;
  open.start_offset = offset;
  open.after_gap = true;
  open.candidate = true;
  open.strict = true;
  here_.phase = HttpPhase::kHead;
}

// What stands in the open message is no head, or one after surplus bytes of the message before it.
// No message starts in its first `resume` bytes; what follows is searched, also inside a line.
void HttpDirection::fail_head(size_t resume) {
  OpenMessage& open = *here_.open;
  const std::string_view text = open.head.text();
  // Where a response is due, it is rubbish in front of it (as in odd_start).
  const bool rubbish = open.progress.context == StartContext::kResponseDue &&
                       nature_of(text) == StreamNature::kUnknown;
  if (!here_.started && !open.candidate && !rubbish) {
    engine_.counters_.add(ShardCounter::ignored_stream, text.size());
    ignore_stream(nature_of(text), text);
    return;
  }
  if (!open.candidate) report_parse_error();
  const bool inside = resume == 0 && open.strict;
  if (inside) resume = 1;
  if (resume < text.size()) {
    engine_.replay_offset_ = open.start_offset + resume;
    engine_.replay_from_ = resume;
    engine_.replay_ = std::exchange(open.head, {});
  }
  pass_candidate(inside ? 0 : resume);
}

// Goes on searching after the first `resume` bytes of what is no head. With none of its lines
// good, the first one was judged already, and only another message can start inside it. Returns how
// many bytes were passed.
size_t HttpDirection::pass_candidate(size_t resume) {
  const bool strict = here_.open->strict;
  const size_t passed = resume == 0 && strict ? 1 : resume;
  engine_.counters_.add(ShardCounter::skipped_in_resync, passed);
  start_search(false);
  here_.inside = resume == 0 && strict;
  return passed;
}

// A segment begins in the first line of a head, which may be what was too much of the message
// before: kept, because the next message may begin there.
void HttpDirection::note_cut(OpenMessage& open) {
  const auto cut = static_cast<uint32_t>(open.head.size);
  if (open.cuts.size < BufferPool::kSizeMin) {
    open.cuts.append(engine_.pool_, {reinterpret_cast<const char*>(&cut), sizeof(cut)});
  }
}

// The first line of the head has become complete. What reads like an odd request may be surplus
// bytes and a request in a segment of its own: returns how many bytes stand before that, or 0.
size_t HttpDirection::surplus_before_message(const OpenMessage& open,
                                             MessageFinder::Wanted wanted) {
  std::string_view line = open.head.text();
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  const StartLine start = read_start_line(line);
  if (start.kind != StartLineKind::kRequest || (start.known_method && !start.irregular)) return 0;
  const size_t before = MessageFinder::message_inside(line, wanted);
  const std::string_view cuts = open.cuts.text();
  for (size_t at = 0; at < cuts.size(); at += sizeof(uint32_t)) {
    uint32_t cut = 0;
    std::memcpy(&cut, cuts.data() + at, sizeof(cut));
    if (cut == before) return before;
  }
  return 0;
}

size_t HttpDirection::ignored(const Input& input) {
  if (starts_like_message(input.text)) {
    const StartGuess guess = guess_start(input.text, StartContext::kAfterLoss);
    if (guess == StartGuess::kRequest || guess == StartGuess::kResponse) {
      OpenMessage* open = take_open_message();
      if (open != nullptr) {
        begin_candidate(input.offset, input.meta);
        return 0;
      }
    }
  }
  engine_.counters_.add(ShardCounter::ignored_stream, input.text.size());
  return input.text.size();
}

void HttpDirection::ignore_stream(StreamNature nature, std::string_view sample) {
  if (!here_.not_http_reported) {
    here_.not_http_reported = true;
    engine_.counters_.add(nature == StreamNature::kTls     ? ShardCounter::tls
                          : nature == StreamNature::kHttp2 ? ShardCounter::http2
                                                           : ShardCounter::not_http);
    EventRecord record;
    record.kind = EventKind::kNotHttp;
    record.nature = nature;
    // A word whose beginning may be missing may be a credential.
    if (!here_.lossy) record.sample_size = take_stream_sample(sample, record.sample);
    put_event(record);
  }
  release_open_message();
  here_.phase = HttpPhase::kIgnored;
  here_.order_lost = true;
}

void HttpDirection::report_parse_error() {
  engine_.counters_.add(ShardCounter::parse_errors);
  if (here_.parse_error_reported) return;
  here_.parse_error_reported = true;
  EventRecord record;
  record.kind = EventKind::kParseError;
  put_event(record);
}

}  // namespace tcp_sniffer
