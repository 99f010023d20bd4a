// SPDX-License-Identifier: Apache-2.0
#include "CPage.h"

// C23's #embed, which clang knows in every mode: the files stay files, the compiler follows their
// changes, and the binary holds their bytes and nothing that unpacks them.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char markup[] = {
#embed "page.html"
};
static const char style[] = {
#embed "page.css"
};
// One module, in the order in which the files need each other.
static const char script[] = {
#embed "words.js"
    ,
#embed "elements.js"
    ,
#embed "feed.js"
    ,
#embed "now.js"
    ,
#embed "views.js"
    ,
#embed "details.js"
    ,
#embed "app.js"
};

struct penstock_text penstock_page_markup(void) {
    return (struct penstock_text){markup, sizeof markup};
}

struct penstock_text penstock_page_style(void) {
    return (struct penstock_text){style, sizeof style};
}

struct penstock_text penstock_page_script(void) {
    return (struct penstock_text){script, sizeof script};
}
