#include "core/field/fields.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace tcp_sniffer::fields_test {
namespace {

FieldRef field(std::string_view name) {
  auto parsed = parse_field(name);
  if (const auto* problem = std::get_if<std::string>(&parsed)) {
    ADD_FAILURE() << *problem;
    return {};
  }
  return std::get<FieldRef>(parsed);
}

std::string problem(std::string_view name) {
  const auto parsed = parse_field(name);
  const auto* words = std::get_if<std::string>(&parsed);
  return words == nullptr ? "" : *words;
}

TEST(Fields, EveryNameOfTheTableIsAField) {
  for (const FieldSpec& spec : field_table()) {
    const FieldRef ref = field(spec.name);
    EXPECT_EQ(ref.field, spec.field);
    EXPECT_EQ(ref.of, spec.of);
    EXPECT_EQ(ref.name, spec.name);
    EXPECT_FALSE(spec.meaning.empty());
  }
}

TEST(Fields, APrefixSaysWhichMessageIsMeant) {
  EXPECT_EQ(field("request.bodySize").of, FieldOf::kRequest);
  EXPECT_EQ(field("response.bodySize").of, FieldOf::kResponse);
  EXPECT_EQ(field("bodySize").of, FieldOf::kEither);
  EXPECT_EQ(field("request.method").field, Field::kMethod);
  EXPECT_NE(problem("response.method"), "");
  EXPECT_NE(problem("request.connectionId"), "");
  EXPECT_EQ(problem("response.orphan"),
            R"("response.orphan" is no field, because orphan is of the exchange; )"
            R"(did you mean "orphan"?)");
  EXPECT_NE(problem("request.request.method"), "");
}

TEST(Fields, AHeaderIsNamedInAnyCase) {
  const FieldRef ref = field("request.headers.X-Request.Id");
  EXPECT_EQ(ref.header, "x-request.id");
  EXPECT_EQ(ref.name, "request.headers.x-request.id");
  EXPECT_EQ(ref.of, FieldOf::kRequest);
  EXPECT_EQ(field("trailers.a").field, Field::kTrailers);
  EXPECT_EQ(field("response.contentType").header, "content-type");
  for (const char* wrong :
       {"headers.", "headers.a b", "headersx", "method.x", "", ".", "request."}) {
    EXPECT_NE(problem(wrong), "") << wrong;
  }
}

TEST(Fields, TheNearestNameIsNamed) {
  EXPECT_EQ(problem("metod"), R"("metod" is no field; did you mean "method"?)");
  EXPECT_EQ(problem("request.header.x"),
            R"("request.header.x" is no field; did you mean "request.headers"?)");
  EXPECT_EQ(problem("zzzzzzzz"), R"("zzzzzzzz" is no field; --help-fields lists all)");
}

}  // namespace
}  // namespace tcp_sniffer::fields_test
