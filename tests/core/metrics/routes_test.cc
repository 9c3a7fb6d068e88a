#include "core/metrics/routes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tcp_sniffer::routes_test {
namespace {

// The pattern that the target matches; empty: none of them.
std::string route(const std::vector<std::string>& patterns, std::string_view target) {
  for (const std::string& pattern : patterns) EXPECT_EQ(Routes::fault_of(pattern), "") << pattern;
  const Routes routes(patterns);
  const uint16_t found = routes.route_of(target);
  return found == Routes::kNone ? "" : std::string(routes.text_of(found));
}

bool matches(const std::string& pattern, std::string_view target) {
  return route({pattern}, target) == pattern;
}

TEST(RoutesTest, APlaceholderIsOneSegmentOrAPartOfOne) {
  for (const char* pattern : {"/api/orders/{id}", "/api/orders/:id", "/api/orders/*"}) {
    EXPECT_TRUE(matches(pattern, "/api/orders/1")) << pattern;
    EXPECT_TRUE(matches(pattern, "/api/orders/a%2Fb?c=/d/e")) << pattern;
    EXPECT_FALSE(matches(pattern, "/api/orders/")) << pattern;
    EXPECT_FALSE(matches(pattern, "/api/orders")) << pattern;
    EXPECT_FALSE(matches(pattern, "/api/orders/1/")) << pattern;
    EXPECT_FALSE(matches(pattern, "/api/orders/1/items")) << pattern;
    EXPECT_FALSE(matches(pattern, "/API/orders/1")) << pattern;
  }
  EXPECT_TRUE(matches("/v{n}/a", "/v10/a"));
  EXPECT_FALSE(matches("/v{n}/a", "/v/a"));
  EXPECT_TRUE(matches("/files/*.png", "/files/.a.png"));
  EXPECT_FALSE(matches("/files/*.png", "/files/.png"));
  EXPECT_TRUE(matches("/at/:id@2x", "/at/a@2x"));
}

TEST(RoutesTest, TheRestMayBeAnything) {
  EXPECT_TRUE(matches("/static/**", "/static"));
  EXPECT_TRUE(matches("/static/**", "/static/"));
  EXPECT_TRUE(matches("/static/**", "/static/a/b/c.js"));
  EXPECT_FALSE(matches("/static/**", "/statics"));
  EXPECT_TRUE(matches("/**", "/"));
  EXPECT_TRUE(matches("/**", "/a/b"));
  EXPECT_TRUE(matches("/{user}/**", "/a/b"));
}

TEST(RoutesTest, TextIsComparedAsItIs) {
  EXPECT_TRUE(matches("/", "/"));
  EXPECT_TRUE(matches("/", "/?a"));
  EXPECT_TRUE(matches("/", "/#a"));
  EXPECT_FALSE(matches("/", "//"));
  EXPECT_FALSE(matches("/", ""));
  EXPECT_FALSE(matches("/", "*"));
  EXPECT_TRUE(matches("/a.b(c)[d]", "/a.b(c)[d]"));
  EXPECT_FALSE(matches("/a.b", "/aXb"));
  EXPECT_TRUE(matches("/{", "/{"));
  EXPECT_TRUE(matches("/a:1", "/a:1"));
  EXPECT_TRUE(matches("/{}", "/{}"));
}

TEST(RoutesTest, TheAbsoluteFormHasAPathToo) {
  EXPECT_TRUE(matches("/users/{id}", "http://shop.example/users/7?a#b"));
  EXPECT_TRUE(matches("/", "http://shop.example"));
  EXPECT_FALSE(matches("/**", "shop.example:443"));
}

TEST(RoutesTest, TheFirstPatternThatMatchesWins) {
  const std::vector<std::string> patterns = {"/users/me", "/users/{id}", "/users/**"};
  EXPECT_EQ(route(patterns, "/users/me"), "/users/me");
  EXPECT_EQ(route(patterns, "/users/you"), "/users/{id}");
  EXPECT_EQ(route(patterns, "/users/you/orders"), "/users/**");
  EXPECT_EQ(route(patterns, "/orders"), "");
}

TEST(RoutesTest, WhatIsNoPatternHasAFault) {
  EXPECT_EQ(Routes::fault_of("users"), "it does not begin with a slash");
  EXPECT_EQ(Routes::fault_of(""), "it does not begin with a slash");
  EXPECT_EQ(Routes::fault_of("/{a}{b}"), "a segment has two placeholders");
  EXPECT_EQ(Routes::fault_of("/a/**/b"), "a segment has two placeholders");
  EXPECT_EQ(Routes::fault_of("/:a-:b"), "a segment has two placeholders");
  EXPECT_EQ(Routes::fault_of("/" + std::string(256, 'a')), "it has more than 256 bytes");
  EXPECT_EQ(Routes::fault_of("/" + std::string(255, 'a')), "");
}

}  // namespace
}  // namespace tcp_sniffer::routes_test
