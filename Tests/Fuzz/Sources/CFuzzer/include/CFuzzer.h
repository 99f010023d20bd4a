// SPDX-License-Identifier: Apache-2.0
#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own loop: reads its options from the arguments and calls `one_input` until they
/// are met.
int LLVMFuzzerRunDriver(
    int *argc, char ***argv, int (*one_input)(const uint8_t *data, size_t size));

#endif
