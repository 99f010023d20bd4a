// SPDX-License-Identifier: Apache-2.0
// The page for browsers at the operators' door: three files beside this one, compiled in as they
// stand.
#pragma once
#include <stddef.h>

/// A text that lives as long as the process.
struct penstock_text {
    const char *bytes;
    size_t count;
};

/// The markup, with an empty `style` and an empty `script` element.
struct penstock_text penstock_page_markup(void);
/// What belongs into its `style` element.
struct penstock_text penstock_page_style(void);
/// What belongs into its `script` element.
struct penstock_text penstock_page_script(void);
