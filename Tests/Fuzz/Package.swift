// swift-tools-version:6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// The rooms under test are compiled here again: their folders are links into the main package.
/// Everything is instrumented, and assertions stay.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .strictMemorySafety(),
    .unsafeFlags(["-sanitize=fuzzer,address", "-assert-config", "Debug"]),
]
let linking: [LinkerSetting] = [
    .unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])
]

/// One parser, one executable, one corpus of the same name.
func entry(_ name: String) -> Target {
    .executableTarget(
        name: name, dependencies: ["FuzzSupport", "Wire", "Units"], swiftSettings: settings,
        linkerSettings: linking)
}

let package = Package(
    name: "fuzz",
    targets: [
        .target(name: "CFuzzer"),
        .target(name: "Units", swiftSettings: settings),
        .target(name: "Wire", dependencies: ["Units"], swiftSettings: settings),
        .target(name: "FuzzSupport", dependencies: ["CFuzzer", "Units"], swiftSettings: settings),
        entry("FuzzCanary"),
        entry("FuzzRequestHead"),
        entry("FuzzResponseHead"),
        entry("FuzzChunked"),
        entry("FuzzSSE"),
        entry("FuzzPrometheus"),
    ]
)
