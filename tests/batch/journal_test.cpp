// The journal: what was added is found again, and whatever happens to its end costs only that end.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/temporary_folder.h"
#include "batch/identity.h"
#include "batch/journal.h"

namespace llmrun::batch {
namespace {

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

class BatchJournal : public testing::Test {
 protected:
  // A journal with two finished rows and one that was begun.
  void fill() {
    auto journal = Journal::open(path_, false);
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_TRUE(journal->begin(R"({"input":"x"})"));
    ASSERT_TRUE(journal->add_part(1, 0, std::vector<TokenId>{5, 6}));
    ASSERT_TRUE(journal->add_done(2, "two"));
    ASSERT_TRUE(journal->add_part(1, 2, std::vector<TokenId>{7}));
    ASSERT_TRUE(journal->add_part(0, 0, std::vector<TokenId>{1}));
    ASSERT_TRUE(journal->add_done(0, "zero"));
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("out.journal");
};

TEST_F(BatchJournal, FindsWhatWasAdded) {
  fill();
  const auto journal = Journal::open(path_, false);
  ASSERT_TRUE(journal);
  const JournalScan& found = journal->found();
  EXPECT_EQ(found.job(), R"({"input":"x"})");
  EXPECT_EQ(found.done_order(), (std::vector<uint64_t>{2, 0}));
  EXPECT_EQ(journal->read(found.done().at(2)).value(), "two");
  EXPECT_EQ(journal->read(found.done().at(0)).value(), "zero");
  ASSERT_EQ(found.parts().size(), 1U);
  EXPECT_EQ(found.parts().at(1), (std::vector<TokenId>{5, 6, 7}));
}

TEST_F(BatchJournal, ATornTailCostsTheTailAlone) {
  fill();
  const std::string whole = contents(path_);
  for (size_t length = 0; length <= whole.size(); ++length) {
    write(path_, whole.substr(0, length));
    auto journal = Journal::open(path_, false);
    ASSERT_TRUE(journal) << length;
    const JournalScan& found = journal->found();
    if (found.job().empty()) {
      EXPECT_TRUE(found.done().empty());
      ASSERT_TRUE(journal->begin("again"));
      continue;
    }
    const size_t n_done = found.done().size();
    ASSERT_TRUE(journal->add_done(9, "nine"));
    JournalScan again;
    again.feed(contents(path_));
    EXPECT_EQ(again.done().size(), n_done + 1) << length;
    EXPECT_EQ(again.good_bytes(), contents(path_).size()) << length;
  }
}

TEST_F(BatchJournal, ADamagedByteEndsItThere) {
  fill();
  const std::string whole = contents(path_);
  for (size_t i = kJournalMagic.size(); i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    JournalScan scan;
    for (const char byte : damaged) scan.feed({&byte, 1});  // cut everywhere
    EXPECT_LE(scan.good_bytes(), i);
    for (const auto& [row, span] : scan.done()) {
      EXPECT_EQ(damaged.substr(span.offset, span.length), row == 2 ? "two" : "zero");
    }
  }
}

TEST_F(BatchJournal, RowsAreNeverFinishedTwiceAndPartsFollowEachOther) {
  const auto scan_of = [](const std::vector<std::string>& payloads) {
    JournalScan scan;
    scan.feed(kJournalMagic);
    for (const std::string& payload : payloads) scan.feed(journal_record(payload).value());
    return scan;
  };
  EXPECT_EQ(scan_of({"job j", "done 1 x", "done 1 y", "done 2 z"}).done().size(), 1U);
  EXPECT_EQ(scan_of({"job j", "part 1 0 5", "part 1 2 5"}).parts().at(1).size(), 1U);
  EXPECT_TRUE(scan_of({"job j", "done 1 x", "part 1 0 5"}).parts().empty());
  EXPECT_TRUE(scan_of({"done 1 x"}).done().empty());
  EXPECT_TRUE(scan_of({"job j", "done x x"}).done().empty());
  EXPECT_TRUE(scan_of({"job j", "part 1 0 -5"}).parts().at(1).empty());
  EXPECT_FALSE(journal_record("two\nlines"));
}

TEST_F(BatchJournal, ASecondOneIsRefusedWhileTheFirstLives) {
  auto first = Journal::open(path_, false);
  ASSERT_TRUE(first);
  const auto second = Journal::open(path_, false);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another llmrun"), std::string::npos);
  ASSERT_TRUE(first->remove());
  EXPECT_TRUE(Journal::open(path_, false)) << "a new file is free";
}

TEST_F(BatchJournal, LeavesFilesOfOthersAlone) {
  write(path_, "my diary\n");
  EXPECT_FALSE(Journal::open(path_, false));
  EXPECT_FALSE(Journal::open(path_, true));
  EXPECT_EQ(contents(path_), "my diary\n");
}

TEST_F(BatchJournal, RestartForgets) {
  fill();
  const auto journal = Journal::open(path_, true);
  ASSERT_TRUE(journal);
  EXPECT_TRUE(journal->found().job().empty());
  EXPECT_TRUE(journal->found().done().empty());
}

TEST(BatchIdentity, NamesWhatDiffers) {
  EXPECT_EQ(
      job_difference(R"({"input":"a","options":{"t":1}})", R"({"input":"a","options":{"t":1}})"),
      "");
  const std::string text = job_difference(R"({"input":"a","options":{"t":1,"seed":"5"}})",
                                          R"({"input":"b","options":{"t":2,"k":3}})");
  for (const char* word : {"input", "t (it was 1 and is 2)", "seed", "k"}) {
    EXPECT_NE(text.find(word), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace llmrun::batch
