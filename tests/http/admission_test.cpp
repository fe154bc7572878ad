// SPDX-License-Identifier: Apache-2.0
#include "http/admission.h"

#include <gtest/gtest.h>

namespace erofs_oci::http {
namespace {

using Ticket = Admission::Ticket;

TEST(Admission, HigherPriorityGoesFirst) {
  Admission admission(8, 8);
  Ticket prefetch{"a", Priority::prefetch}, ahead{"a", Priority::read_ahead}, first{"a"}, second{"a"};
  for (Ticket* ticket : {&prefetch, &ahead, &first, &second}) admission.enqueue(*ticket);
  EXPECT_EQ(admission.next(), &first);
  EXPECT_EQ(admission.next(), &second);
  EXPECT_EQ(admission.next(), &ahead);
  EXPECT_EQ(admission.next(), &prefetch);
  EXPECT_EQ(admission.next(), nullptr);
}

TEST(Admission, ABusyHostDoesNotHoldUpAnother) {
  Admission admission(1, 8);
  Ticket one{"a"}, waiting{"a"}, other{"b"};
  for (Ticket* ticket : {&one, &waiting, &other}) admission.enqueue(*ticket);
  EXPECT_EQ(admission.next(), &one);
  EXPECT_EQ(admission.next(), &other);
  EXPECT_EQ(admission.next(), nullptr);
  admission.release(one);
  EXPECT_EQ(admission.next(), &waiting);
}

TEST(Admission, TheTotalIsBoundedOverAllHosts) {
  Admission admission(8, 2);
  Ticket a{"a"}, b{"b"}, c{"c"};
  for (Ticket* ticket : {&a, &b, &c}) admission.enqueue(*ticket);
  EXPECT_NE(admission.next(), nullptr);
  EXPECT_NE(admission.next(), nullptr);
  EXPECT_EQ(admission.next(), nullptr);
}

TEST(Admission, LowerPrioritiesLeaveSlotsForABlockedRead) {
  Admission admission(4, 100);
  std::array<Ticket, 4> prefetch, ahead;
  for (Ticket& ticket : prefetch) ticket = {"a", Priority::prefetch};
  for (Ticket& ticket : ahead) ticket = {"a", Priority::read_ahead};
  for (Ticket& ticket : prefetch) admission.enqueue(ticket);
  int started = 0;
  while (admission.next() != nullptr) ++started;
  EXPECT_EQ(started, 2);
  for (Ticket& ticket : ahead) admission.enqueue(ticket);
  while (admission.next() != nullptr) ++started;
  EXPECT_EQ(started, 3);
  Ticket blocked{"a"};
  admission.enqueue(blocked);
  EXPECT_EQ(admission.next(), &blocked);
}

TEST(Admission, ASingleSlotServesEveryPriority) {
  for (const Priority priority : {Priority::foreground, Priority::read_ahead, Priority::prefetch}) {
    Admission admission(1, 1);
    Ticket ticket{"a", priority};
    admission.enqueue(ticket);
    EXPECT_EQ(admission.next(), &ticket);
  }
}

TEST(Admission, AWithdrawnTicketIsNotGivenOut) {
  Admission admission(8, 8);
  Ticket gone{"a"}, stays{"a"};
  admission.enqueue(gone);
  admission.enqueue(stays);
  admission.withdraw(gone);
  EXPECT_EQ(admission.next(), &stays);
}

}  // namespace
}  // namespace erofs_oci::http
