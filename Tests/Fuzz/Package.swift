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

func room(_ name: String, _ imports: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: settings)
}

/// One parser, one executable, one corpus of the same name.
func entry(_ name: String, _ imports: [Target.Dependency] = ["Wire"]) -> Target {
    .executableTarget(
        name: name, dependencies: ["FuzzSupport", "Units"] + imports, swiftSettings: settings,
        linkerSettings: linking)
}

let package = Package(
    name: "fuzz",
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    ],
    targets: [
        .target(name: "CFuzzer"),
        .target(name: "CPlatform"),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CNghttp2", providers: [.apt(["libnghttp2-dev"])]),
        room("Units"),
        room("Wire", ["Units"]),
        room("HTTP2", ["Units", "Wire", "CNghttp2"]),
        room("Dialects", ["Units", "Wire"]),
        room("Tokenization", ["Units", "Wire"]),
        room("Policy", ["Units", "Tokenization"]),
        room("Estimation", ["Units", "Policy"]),
        room(
            "Budget",
            ["Units", "Policy", .product(name: "DequeModule", package: "swift-collections")]),
        room("Admission", ["Units", "Policy"]),
        room("Scheduling", ["Units", "Policy"]),
        room("EventLoop", ["Units", "CPlatform"]),
        room(
            "Store",
            [
                "Units", "Policy", "Budget", "Admission", "Scheduling", "EventLoop", "CHiredis",
                "COpenSSL", .product(name: "DequeModule", package: "swift-collections"),
            ]),
        room(
            "Configuration",
            ["Units", "Policy", "Tokenization", .product(name: "Yams", package: "Yams")]),
        room("FuzzSupport", ["CFuzzer", "Units"]),
        entry("FuzzCanary"),
        entry("FuzzRequestHead"),
        entry("FuzzResponseHead"),
        entry("FuzzChunked"),
        entry("FuzzHTTP2", ["HTTP2", "Wire"]),
        entry("FuzzSSE"),
        entry("FuzzPrometheus"),
        entry("FuzzJSON", ["Dialects", "Wire"]),
        entry("FuzzTokenizer", ["Tokenization"]),
        entry("FuzzTokens", ["Estimation", "Policy"]),
        entry("FuzzRESP", ["Store"]),
        entry("FuzzConfig", ["Configuration"]),
    ]
)
