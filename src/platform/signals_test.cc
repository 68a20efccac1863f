#include "platform/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace folio::platform {
namespace {

TEST(Signals, LeaveANoteThatIsTakenOnce) {
  SignalScope signals;
  EXPECT_FALSE(signals.take_interrupt());
  std::raise(SIGINT);
  std::raise(SIGWINCH);
  EXPECT_TRUE(signals.take_interrupt());
  EXPECT_FALSE(signals.take_interrupt());
  EXPECT_TRUE(signals.take_resized());
  EXPECT_FALSE(signals.take_resumed());
}

TEST(Signals, ANewScopeStartsWithoutNotes) {
  {
    SignalScope signals;
    std::raise(SIGINT);
  }
  SignalScope signals;
  EXPECT_FALSE(signals.take_interrupt());
}

TEST(Signals, OneThatCameBeforeAReadIsNotMissed) {
  SignalScope signals;
  std::raise(SIGINT);
  char byte = 0;
  ASSERT_EQ(signals.read_byte(byte), ReadByte::kSignal);  // else this would wait for ever
  EXPECT_TRUE(signals.take_interrupt());
}

TEST(SignalsDeathTest, AfterwardsEachDoesWhatItDidBefore) {
  EXPECT_EXIT(
      {
        {
          SignalScope signals;
        }
        std::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace folio::platform
