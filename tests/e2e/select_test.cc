// `select`: the columns of tables, what is hidden in its values, and what it rejects.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>

#include "support/run_program.h"
#include "support/table_rows.h"

namespace tcp_sniffer::select_test {
namespace {

using namespace table_rows;

TEST(Select, ATableWithoutItHasTheUsualColumns) {
  const Finished run =
      run_sniffer({"-r", capture("posts.pcap").string(), "--format", "csv", "--shards", "0"});
  const auto rows = rows_of(run.out, true);
  ASSERT_GT(rows.size(), 2u);
  EXPECT_EQ(joined(rows[0]),
            "timestamp,connectionId,exchange,direction,destination.ip,receiver.ip,receiver.port,"
            "method,host,path,status,contentType,bodySize,durationMs,latencyMs,incomplete");
  EXPECT_EQ(joined(rows[2]),
            "2026-11-20T18:58:23.295523Z,28b5e1f918a0fd00,0,response,10.77.0.1,10.77.0.2,80,POST,"
            "10.77.0.2,/api/cart,201,application/json; charset=utf-8,85,0,1.305,");
}

// Golden rows. TCP_SNIFFER_WRITE_EXPECTED=1 writes them.
TEST(Select, TablesOfExchangesOfRealProgramsAreAsExpected) {
  for (const char* name : {"posts.pcap", "forwarded.pcap", "loss_random.pcap"}) {
    SCOPED_TRACE(name);
    const Finished run = run_sniffer(
        {"-r", capture(name).string(), "--records", "exchange", "--format", "csv", "--shards", "0",
         "--trusted-proxies", "1", "--select",
         "timestamp,client,method,host,path,request.contentType,request.bodySize,status,"
         "contentType,bodySize,latencyMs,totalMs,incomplete,orphan,orphanCause"});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const std::filesystem::path golden = capture(std::string(name) + ".exchanges.csv");
    if (std::getenv("TCP_SNIFFER_WRITE_EXPECTED") != nullptr) {
      write_file(golden, run.out);
    } else {
      EXPECT_EQ(run.out, content_of(golden));
    }
  }
}

TEST(Select, WhatOnlyTheOtherRecordsHaveIsRejected) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"message", "method,totalMs", "totalMs"},
      {"message", "orphan", "orphan"},
      {"exchange", "direction", "direction"},
  };
  for (const auto& [records, fields, name] : cases) {
    const Finished run = run_sniffer(
        {"-r", "/nowhere.pcap", "--log-format", "json", "--records", records, "--select", fields});
    EXPECT_EQ(run.exit.code, 2) << fields;
    EXPECT_NE(
        run.err.find("select: \\\"" + std::string(name) + "\\\" together with records: " + records),
        std::string::npos)
        << run.err;
  }
}

TEST(Select, HidesWhatFullLinesHide) {
  const Finished run = run_sniffer(
      {"-r", capture("posts.pcap").string(), "--shards", "0", "--redact-headers",
       "host,content-type", "--select",
       "host,contentType,request.headers.host,headers,rawHeaders,headers.content-type"});
  EXPECT_EQ(run.out.find("10.77.0.2"), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("application/json"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find(R"("host":"[redacted]")"), std::string::npos);
  EXPECT_NE(run.out.find(R"("contentType":"[redacted]")"), std::string::npos);
}

TEST(Select, TheConfigurationNamesFieldsAsAList) {
  const std::string config = R"({"files":[")" + capture("posts.pcap").string() +
                             R"("],"format":"tsv","select":["method","status"],"shards":0})";
  const Finished run = run_sniffer({"--config", "-"}, config + "\n");
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_TRUE(run.out.starts_with("method\tstatus\nPOST\t\nPOST\t201\n")) << run.out;
}

TEST(Select, ATableIsAppendedToWhenItsColumnsAreTheSame) {
  const TemporaryFolder folder;
  const std::string file = (folder / "table.csv").string();
  const auto append = [&](const std::string& fields) {
    return run_sniffer({"-r", capture("posts.pcap").string(), "--format", "csv", "--select", fields,
                        "--shards", "0", "-o", file});
  };
  EXPECT_EQ(append("method,status").exit.code, 0);
  const std::string once = content_of(folder / "table.csv");
  const std::string head = "method,status\r\n";
  ASSERT_TRUE(once.starts_with(head));
  EXPECT_EQ(append("method,status").exit.code, 0);
  EXPECT_EQ(content_of(folder / "table.csv"), once + once.substr(head.size()));
  const Finished other = append("status,method");
  EXPECT_EQ(other.exit.code, 7);
  EXPECT_NE(other.err.find("names other columns"), std::string::npos) << other.err;
  EXPECT_EQ(content_of(folder / "table.csv"), once + once.substr(head.size()));
}

TEST(Select, AnUnknownNameIsRejectedWithTheNearest) {
  const std::pair<const char*, const char*> cases[] = {
      {"timestamp,pth", R"(\"pth\" is no field; did you mean \"path\"?)"},
      {"statuscode", R"(\"statuscode\" is no field; did you mean \"statusCode\"?)"},
      {"request.bodysize", R"(did you mean \"request.bodySize\"?)"},
      {"request.status", R"(status is of the response; did you mean \"status\"?)"},
      {"headers.a b", "is no field"},
      {"path,method,path", R"(\"path\" is given twice)"},
  };
  for (const auto& [fields, words] : cases) {
    const Finished run =
        run_sniffer({"-r", "/nowhere.pcap", "--log-format", "json", "--select", fields});
    EXPECT_EQ(run.exit.code, 2) << fields;
    EXPECT_NE(run.err.find(words), std::string::npos) << run.err;
    EXPECT_EQ(run.out, "");
  }
}

}  // namespace
}  // namespace tcp_sniffer::select_test
