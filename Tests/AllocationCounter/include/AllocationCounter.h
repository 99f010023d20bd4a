// SPDX-License-Identifier: Apache-2.0
// Counts what the calling thread takes from the heap and gives back to it, exactly: the program's
// malloc and its kin are defined here and pass on to those of glibc.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// False under a sanitizer, which needs these functions for itself: then every count is zero.
bool allocation_counter_works(void);
/// Blocks taken by this thread so far, resized ones included.
uint64_t allocations_of_this_thread(void);
/// Blocks given back by this thread so far.
uint64_t releases_of_this_thread(void);
