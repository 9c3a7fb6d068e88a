// The completions that the program prints, loaded by the shells themselves and asked as a person
// asks them.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "io/config/config_keys.h"
#include "io/config/options.h"
#include "support/program_lab.h"

namespace tcp_sniffer::completion_test {
namespace {

using Words = std::vector<std::string>;

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A shell with the completion loaded.
class Shell {
 public:
  explicit Shell(const std::string& name) : name_(name) {
    const Finished printed = run_sniffer({"--completion", name});
    EXPECT_EQ(printed.exit.code, 0) << printed.err;
    EXPECT_EQ(printed.err, "");
    write_file(script(), printed.out);
    write_file(folder_ / "a capture.pcap", "");
    write_file(folder_ / "b.pcap", "");
    std::filesystem::create_directory(folder_ / "bodies");
    // The program by its name, as the scripts know it.
    std::filesystem::create_symlink(TCP_SNIFFER_BINARY, folder_ / "tcp-sniffer");
  }

  bool is_there() const { return run({"sh", "-c", "command -v " + name_}).exit.code == 0; }

  // What it offers for the last word of the line.
  Words offers(const std::string& line) const {
    const Finished finished = run(command(line));
    EXPECT_EQ(finished.exit.code, 0) << line << "\n" << finished.err;
    EXPECT_EQ(finished.err, "") << line;
    Words words;
    for (std::string word : lines_of(finished.out)) {
      word = word.substr(0, word.find_first_of("\t\r"));
      while (!word.empty() && (word.back() == ' ' || word.back() == '/')) word.pop_back();
      if (!word.empty()) words.push_back(word);
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    return words;
  }

 private:
  std::filesystem::path script() const { return folder_ / "completion"; }

  std::vector<std::string> command(const std::string& line) const {
    const std::string begin = "cd '" + folder_.path().string() + "' && PATH=$PWD:$PATH && ";
    if (name_ == "bash") return {"bash", "--norc", "-c", begin + kBash, "bash", line};
    if (name_ == "fish") {
      return {"sh", "-c",
              begin +
                  "export HOME=$PWD PATH && exec fish --no-config -c 'source completion; "
                  "complete -C $argv[1]' \"$1\"",
              "sh", line};
    }
    return {"sh", "-c", begin + "export PATH && exec zsh -f -c \"$0\" zsh \"$1\"", kZsh, line};
  }

  // As readline calls it: words are parted at blanks and at equals signs.
  static constexpr const char* kBash = R"(
. ./completion
line=$1
read -ra COMP_WORDS <<<"${line//=/ = }"
[[ $line == *[\ =] ]] && COMP_WORDS+=('')
[[ $line == *= ]] && unset 'COMP_WORDS[-1]'
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p tcp-sniffer | sed 's/.*-F \([^ ]*\) .*/\1/') tcp-sniffer
printf '%s\n' "${COMPREPLY[@]}")";

  // zsh completes on a terminal only, so one is made for another zsh, in which compadd prints what
  // it is given.
  static constexpr const char* kZsh = R"(
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1= PS2= RPS1=; unsetopt zle_bracketed_paste 2>/dev/null; unset zle_bracketed_paste
autoload -Uz compinit && compinit -u -D && source ./completion
zstyle ":completion:*" verbose no
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a found
  builtin compadd -A found "$@"
  local word
  for word in $found; do print -r -- "offer:$IPREFIX$word"; done
  builtin compadd "$@"
}
finished() { print -r -- "offers:end"; }
comppostfuncs=(finished)
bindkey "^I" complete-word
print ready:loaded'
while zpty -r shell line; do [[ $line == *ready:loaded* && $line != *print* ]] && break; done
zpty -w -n shell "$1"$'\t'
while zpty -r shell line; do
  [[ $line == *offers:end* ]] && break
  [[ $line == *offer:* ]] && print -r -- "${line##*offer:}"
done
zpty -d shell)";

  std::string name_;
  TemporaryFolder folder_;
};

class Completion : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!shell_.is_there()) GTEST_SKIP() << GetParam() << " is not installed";
  }
  Shell shell_{GetParam()};
};

TEST_P(Completion, KnowsEveryFlagOfTheTable) {
  const Words flags = shell_.offers("tcp-sniffer --");
  for (const KeySpec& key : config_keys()) {
    EXPECT_TRUE(has(flags, "--" + flag_name(key.name))) << key.name;
    EXPECT_EQ(has(flags, "--no-" + flag_name(key.name)), is_boolean(key)) << key.name;
  }
  for (const ActionFlag& action : action_flags()) {
    const std::string flag = "--" + std::string(action.name);
    EXPECT_EQ(has(flags, flag), !action.meaning.empty()) << flag;
  }
  EXPECT_TRUE(has(flags, "--config"));
}

TEST_P(Completion, KnowsTheWordsOfEveryEnumeration) {
  for (const KeySpec& key : config_keys()) {
    if (key.words.empty()) continue;
    Words words(key.words.begin(), key.words.end());
    std::sort(words.begin(), words.end());
    EXPECT_EQ(shell_.offers("tcp-sniffer --" + flag_name(key.name) + " "), words) << key.name;
  }
  EXPECT_EQ(shell_.offers("tcp-sniffer --overload d"), Words({"drop"}));
  EXPECT_EQ(shell_.offers("tcp-sniffer --completion "), Words({"bash", "fish", "zsh"}));
  EXPECT_EQ(shell_.offers("tcp-sniffer --verbose "), Words({"0", "1", "2"}));
}

TEST_P(Completion, GoesOnAfterACommaAndAfterAnEqualsSign) {
  const Words fields = shell_.offers("tcp-sniffer --select ");
  EXPECT_TRUE(has(fields, "path"));
  EXPECT_TRUE(has(fields, "receiver.ip"));
  const auto ends_with = [](const Words& words, const std::string& word) {
    return std::any_of(words.begin(), words.end(),
                       [&](const std::string& offered) { return offered.ends_with(word); });
  };
  EXPECT_TRUE(ends_with(shell_.offers("tcp-sniffer --select path,statusC"), "statusCode"));
  EXPECT_FALSE(ends_with(shell_.offers("tcp-sniffer --select path,statusC"), "receiver"));
  EXPECT_TRUE(ends_with(shell_.offers("tcp-sniffer --overload=d"), "drop"));
  EXPECT_TRUE(ends_with(shell_.offers("tcp-sniffer --overload="), "block"));
}

TEST_P(Completion, KnowsFilesFoldersUsersAndInterfaces) {
  for (const char* line : {"tcp-sniffer ", "tcp-sniffer -r ", "tcp-sniffer --config "}) {
    EXPECT_TRUE(has(shell_.offers(line), "b.pcap")) << line;
  }
  EXPECT_EQ(shell_.offers("tcp-sniffer --extract-dir b"), Words({"bodies"}));
  EXPECT_TRUE(has(shell_.offers("tcp-sniffer --user nob"), "nobody"));
  EXPECT_EQ(shell_.offers("tcp-sniffer --ports "), Words()) << "a number has no completion";
  const Words interfaces = shell_.offers("tcp-sniffer -i ");
  for (const std::string& line : lines_of(run_sniffer({"--list-interfaces"}).out)) {
    EXPECT_TRUE(has(interfaces, line.substr(0, line.find(' ')))) << line;
  }
}

INSTANTIATE_TEST_SUITE_P(Shells, Completion, testing::Values("bash", "zsh", "fish"));

TEST(CompletionFlag, AnotherShellIsRejected) {
  const Finished finished = run_sniffer({"--completion", "tcsh"});
  EXPECT_EQ(finished.exit.code, 2);
  EXPECT_NE(fatal_of(finished)["message"].get<std::string>().find("allowed: bash, zsh, fish"),
            std::string::npos);
  EXPECT_EQ(run_sniffer({"--completion"}).exit.code, 2);
}

}  // namespace
}  // namespace tcp_sniffer::completion_test
