// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Units
import Wire

/// How prompts of models with a tokenizer came to their number of tokens.
extension MetricsPage {
    func counting(to page: inout PrometheusWriter) {
        let counts = control.shared.counting.counts
        page.family(
            "penstock_prompts_counted_total", .counter,
            help: "Prompts of models with a tokenizer, by the way in which they were counted.")
        let ways = [
            ("worker", counts.inline.load(ordering: .relaxed)),
            ("thread", counts.threads.load(ordering: .relaxed)),
            ("estimated", counts.estimated.load(ordering: .relaxed)),
        ]
        for (way, count) in ways { page.sample(Double(count), PrometheusLabels([("way", way)])) }
    }
}
