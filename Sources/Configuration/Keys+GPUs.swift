// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    /// What engines share.
    static let gpus: [Key] = [
        Key(
            "gpus", .entries(1...16_384), .absent, .reloadable,
            "GPUs that several engines share (MPS), of one pool or of several, and what these may "
                + "have in flight together; what does not fit waits, the first classes first. Left "
                + "out, engines know nothing of each other."),
        Key(
            "gpus[].name", .scalar(.name), .required, .reloadable,
            "The GPU's name, for operators."),
        Key(
            "gpus[].endpoints", .list(.endpoint, 1...64), .required, .reloadable,
            "The engines on it, as they stand in `pools[].endpoints`."),
        Key(
            "gpus[].max_tokens_in_flight", .scalar(.integer(1...1 << 40, unit: "tokens")),
            .required, .reloadable,
            "Prompt and expected output of all open requests at these engines together; one that "
                + "alone is larger gets 400."),
    ]
}
