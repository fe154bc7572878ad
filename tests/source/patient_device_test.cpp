// SPDX-License-Identifier: Apache-2.0
#include "source/patient_device.h"

#include <gmock/gmock.h>

#include <thread>

#include "source/device_fixture.h"

namespace erofs_oci {
namespace {

using testing::DeviceFixture;
using testing::flatten;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr milliseconds kLong = std::chrono::hours(1);
constexpr ByteRange kHere{0, 4096};  // metadata
constexpr ByteRange kFirst{12 * kKiB, 4096};
constexpr ByteRange kSecond{12 * kKiB + 2 * kMiB, 4096};

/// A device before a blob that can be away, and the calls that it asked to be made later.
class PatientDeviceTest : public DeviceFixture {
 protected:
  void make_patient(const Patience& patience) {
    make(8 * kMiB);
    PatientDeviceHooks hooks;
    hooks.after = [this](milliseconds delay, std::function<void()> call) {
      later_.emplace(std::chrono::steady_clock::now() + delay, std::move(call));
    };
    hooks.interrupt = [this] { ++interrupts_; };
    hooks.on_change = [this](const std::optional<Error>& why) { changes_.emplace_back(why ? why->what() : "back"); };
    patient_ = std::make_shared<PatientDevice>(device_, patience, std::move(hooks));
  }
  std::future<ReadResult> start(ByteRange range, milliseconds age = {}) {
    auto promise = std::make_shared<std::promise<ReadResult>>();
    patient_->read_or_wait(
        range, std::chrono::steady_clock::now() - age,
        [promise](ReadResult result) { promise->set_value(std::move(result)); }, [] {});
    return promise->get_future();
  }
  /// Makes the calls whose time comes within `window`.
  void run_for(milliseconds window) {
    const auto end = std::chrono::steady_clock::now() + window;
    while (!later_.empty() && later_.begin()->first <= end) {
      std::this_thread::sleep_until(later_.begin()->first);
      const auto call = later_.extract(later_.begin());
      call.mapped()();
    }
  }
  static bool waits(const std::future<ReadResult>& read) {
    return read.wait_for(seconds(0)) == std::future_status::timeout;
  }

  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> later_;
  int interrupts_ = 0;
  std::vector<std::string> changes_;
  std::shared_ptr<PatientDevice> patient_;
};

TEST_F(PatientDeviceTest, ReadsGoOnWhenTheSourceIsBack) {
  make_patient({std::nullopt, milliseconds(1), milliseconds(1)});
  blob_->failures = 3;
  auto first = start(kFirst);
  auto second = start(kSecond);
  EXPECT_TRUE(waits(first));
  EXPECT_TRUE(waits(second));
  EXPECT_EQ(blob_->reads, 1) << "the second must not ask a source that is away";
  run_for(seconds(1));
  EXPECT_EQ(flatten(first.get()), expected(kFirst));
  EXPECT_EQ(flatten(second.get()), expected(kSecond));
  EXPECT_THAT(changes_, ElementsAre("the fake is away", "back"));
  EXPECT_EQ(interrupts_, 1);
  EXPECT_EQ(device_->counters().errors, 0u);
}

TEST_F(PatientDeviceTest, WhoWaitsIsToldSo) {
  make_patient({milliseconds(50), kLong, kLong});
  std::vector<uint64_t> waiting;
  const auto read = [&](ByteRange range) {
    patient_->read_or_wait(
        range, std::chrono::steady_clock::now(), [](const ReadResult&) {},
        [&waiting, range] { waiting.push_back(range.offset); });
  };
  read(kFirst);
  EXPECT_THAT(waiting, IsEmpty()) << "it was answered";
  blob_->failures = 1;
  read(kSecond);
  read({kSecond.offset + 2 * kMiB, 512});
  read(kHere);
  EXPECT_THAT(waiting, ElementsAre(kSecond.offset, kSecond.offset + 2 * kMiB)) << "the one that found it, the one that came";
}

TEST_F(PatientDeviceTest, WaitingHoldsNoMemory) {
  make_patient({std::nullopt, kLong, kLong});
  blob_->failures = 1;
  const auto read = start({12 * kKiB, 3 * kMiB});
  EXPECT_TRUE(waits(read));
  EXPECT_TRUE(memory_->try_reserve(MemoryBound::Kind::span, memory_->limit()));
}

TEST_F(PatientDeviceTest, ServesWhatIsAtHandWhileTheSourceIsAway) {
  make_patient({std::nullopt, kLong, kLong});
  EXPECT_EQ(start(kFirst).get().errno_value, 0);
  blob_->failures = 1;
  EXPECT_TRUE(waits(start(kSecond)));
  EXPECT_EQ(flatten(start(kHere).get()), expected(kHere));
  EXPECT_EQ(flatten(start(kFirst).get()), expected(kFirst));
  EXPECT_EQ(changes_.size(), 1u);
}

TEST_F(PatientDeviceTest, ReadsFailAtTheirDeadline) {
  make_patient({milliseconds(50), kLong, kLong});
  blob_->failures = 1;
  auto first = start(kFirst);
  auto second = start(kSecond);
  run_for(milliseconds(10));
  EXPECT_TRUE(waits(first));
  run_for(milliseconds(200));
  EXPECT_EQ(first.get().errno_value, EIO);
  EXPECT_EQ(second.get().errno_value, EIO);
  EXPECT_EQ(device_->counters().errors, 2u);
  EXPECT_EQ(last_error_, "the fake is away");
}

TEST_F(PatientDeviceTest, ADeadlineCountsFromTheArrivalAtAFormerDaemon) {
  make_patient({kLong, kLong, kLong});
  blob_->failures = 1;
  auto old = start(kFirst, kLong - milliseconds(50));
  auto fresh = start(kSecond);
  run_for(milliseconds(200));
  ASSERT_FALSE(waits(old));
  EXPECT_EQ(old.get().errno_value, EIO);
  EXPECT_TRUE(waits(fresh));
}

TEST_F(PatientDeviceTest, AnOldReadIsAnsweredWhereTheSourceAnswers) {
  make_patient({milliseconds(50), kLong, kLong});
  EXPECT_EQ(flatten(start(kFirst, kLong).get()), expected(kFirst));
}

TEST_F(PatientDeviceTest, AShorterDeadlineTakesInThoseWhoWait) {
  make_patient({std::nullopt, kLong, kLong});
  blob_->failures = 1;
  auto read = start(kFirst);
  patient_->set_patience({milliseconds(1), kLong, kLong});
  run_for(milliseconds(100));
  EXPECT_EQ(read.get().errno_value, EIO);
}

TEST_F(PatientDeviceTest, AHurryFailsWhatWaitsAndWhatComes) {
  make_patient({std::nullopt, milliseconds(10), kLong});
  blob_->failures = 1;
  auto waiting = start(kFirst);
  EXPECT_EQ(patient_->hurry(), 1u);
  run_for(milliseconds(1));
  EXPECT_EQ(waiting.get().errno_value, EIO);
  EXPECT_EQ(start(kSecond).get().errno_value, EIO);
  EXPECT_EQ(start(kHere).get().errno_value, 0);
  patient_->end_hurry();
  auto later = start(kSecond);
  EXPECT_TRUE(waits(later)) << "nobody has found the source back yet";
  run_for(milliseconds(100));
  EXPECT_EQ(flatten(later.get()), expected(kSecond));
}

TEST_F(PatientDeviceTest, AHurryFailsWhatHangsInTheSource) {
  make_patient({std::nullopt, kLong, kLong});
  blob_->held = true;
  auto read = start(kFirst);
  EXPECT_EQ(patient_->hurry(), 1u);
  run_for(PatientDevice::kHurriedDeadline - seconds(1));
  EXPECT_TRUE(waits(read));
  run_for(PatientDevice::kHurriedDeadline + seconds(1));
  ASSERT_FALSE(waits(read));
  EXPECT_EQ(read.get().errno_value, ETIMEDOUT);
  EXPECT_THAT(changes_, ElementsAre(StartsWith("nothing came")));
  blob_->release();
}

TEST_F(PatientDeviceTest, ARunningReadIsNotFailedByTheDeadlineOfItsMount) {
  make_patient({milliseconds(1), kLong, kLong});
  blob_->held = true;
  auto read = start(kFirst);
  run_for(milliseconds(100));
  EXPECT_TRUE(waits(read)) << "it may be slow, and moving";
  blob_->release();
  EXPECT_EQ(flatten(read.get()), expected(kFirst));
  EXPECT_THAT(changes_, IsEmpty());
}

TEST_F(PatientDeviceTest, CloseFailsEverything) {
  make_patient({std::nullopt, kLong, kLong});
  blob_->failures = 1;
  auto waiting = start(kFirst);
  patient_->close(Error(ErrorKind::unavailable, ECANCELED, "unmounted"));
  EXPECT_EQ(waiting.get().errno_value, ECANCELED);
  EXPECT_EQ(start(kSecond).get().errno_value, ECANCELED);
}

TEST_F(PatientDeviceTest, OtherErrorsAreNoReasonToWait) {
  make_patient({std::nullopt, kLong, kLong});
  blob_->held = true;
  auto read = start(kFirst);
  blob_->release(Error(ErrorKind::corrupt, "is not what it should be"));
  EXPECT_NE(read.get().errno_value, 0);
  EXPECT_THAT(changes_, IsEmpty());
}

}  // namespace
}  // namespace erofs_oci
