// swift-tools-version:6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// Every Swift target is compiled the same way: Swift 6 mode, no warning tolerated, unsafe code
/// marked.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    // A request crosses a dozen modules: the optimiser has to see through them.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    // A section each, so that the linker can put those side by side that requests go through.
    .unsafeFlags(["-Xfrontend", "-function-sections"], .when(configuration: .release)),
    // Exclusivity is proven by the compiler where it can be, and checked at run time in the debug
    // builds that all tests run. The run-time checks cost 13 % of a request's instructions.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// One room of the house: a target imports only what its row in ARCHITECTURE.md names.
func room(_ name: String, _ imports: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: settings)
}

/// A room of the middle. Property tests and simulations take it through millions of events, so it
/// is optimised in debug builds too; bounds, overflow and exclusivity are checked all the same.
func pure(_ name: String, _ imports: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: imports,
        swiftSettings: settings + [.unsafeFlags(["-O"], .when(configuration: .debug))])
}

/// The tests of a room mirror it under Tests/; `exclude` names folders that they read as data.
func tests(
    _ name: String, _ imports: [Target.Dependency], exclude: [String] = []
) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: imports + ["TestSupport"], exclude: exclude,
        swiftSettings: settings)
}

let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
/// Arrays whose elements are not copied.
let containers: Target.Dependency = .product(
    name: "BasicContainers", package: "swift-collections")

/// The pure rooms that decide; `Decision` joins them.
let deciding: [Target.Dependency] = [
    "Units", "Policy", "Estimation", "Budget", "Admission", "Scheduling", "Routing", "Planning",
]

let package = Package(
    name: "penstock",
    products: [.executable(name: "penstock", targets: ["penstock"])],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    ],
    targets: [
        // System libraries and C shims.
        .target(name: "CPlatform"),
        // The page for browsers; its texts are embedded by the C compiler.
        .target(
            name: "CPage",
            exclude: [
                "page.html", "page.css", "words.js", "elements.js", "feed.js", "now.js", "views.js",
                "details.js", "app.js",
            ]),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CNghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),

        // Pure: bytes and values in, values out.
        pure("Units", [collections]),
        pure("Wire", ["Units"]),
        pure("HTTP2", ["Units", "Wire", "CNghttp2"]),
        pure("Dialects", ["Units", "Wire"]),
        pure("Tokenization", ["Units", "Wire"]),
        pure("Policy", ["Units", "Tokenization"]),
        pure("Estimation", ["Units", "Policy"]),
        pure("Budget", ["Units", "Policy", collections]),
        pure("Admission", ["Units", "Policy"]),
        pure("Scheduling", ["Units", "Policy"]),
        pure("Routing", ["Units", "Policy"]),
        pure("Planning", ["Units", "Policy"]),
        pure("Decision", deciding + [containers]),
        pure("Simulation", deciding + ["Decision", collections, containers]),
        pure("Ledger", ["Units", "Wire"]),

        // The rim: what touches the world.
        room("Identity", ["Units", "Wire", "COpenSSL"]),
        room("EventLoop", ["Units", "CPlatform"]),
        room("Transport", ["Units", "Wire", "HTTP2", "EventLoop", "COpenSSL", "CZlib"]),
        room(
            "Store",
            [
                "Units", "Policy", "Budget", "Admission", "Scheduling", "EventLoop", "CHiredis",
                "COpenSSL", collections,
            ]),
        room("Telemetry", ["Units", "Wire", logging]),
        room(
            "Gateway",
            deciding + [
                "Decision", "Wire", "Dialects", "HTTP2", "EventLoop", "Transport", "Store",
                "Telemetry", "Ledger", "Tokenization", "CPage", "Identity", logging, collections,
                containers,
            ]),
        room(
            "Engine",
            ["Units", "Wire", "Dialects", "Simulation", "EventLoop", "Transport", "Telemetry"]),
        room(
            "Replay",
            [
                "Units", "Wire", "Dialects", "Simulation", "EventLoop", "Transport", "Telemetry",
                "CZlib",
            ]),
        room("Configuration", ["Units", "Policy", "Tokenization", yams]),
        .executableTarget(
            name: "penstock",
            dependencies: [
                "Units", "Policy", "Configuration", "Gateway", "Engine", "Replay", "Store",
                "Telemetry", "EventLoop", "Transport", "Simulation", "Wire", "Ledger", "Estimation",
                "Tokenization", arguments,
            ],
            swiftSettings: settings,
            linkerSettings: [
                // `make order` writes the file; names that are not there any more do no harm.
                .unsafeFlags(
                    [
                        "-use-ld=lld", "-Xlinker", "--no-warn-symbol-ordering", "-Xlinker",
                        "--symbol-ordering-file=\(Context.packageDirectory)/deploy/symbols.order",
                    ], .when(configuration: .release))
            ]),

        // Tests.
        .target(
            name: "TestSupport", dependencies: ["Units"], path: "Tests/Support",
            swiftSettings: settings),
        tests("Units", ["Units"]),
        tests("Wire", ["Wire", "Units"], exclude: ["Fixtures"]),
        tests("HTTP2", ["HTTP2", "Wire", "Units"]),
        tests("Dialects", ["Dialects", "Wire", "Units"], exclude: ["Fixtures"]),
        tests("Estimation", ["Estimation", "Policy", "Units"]),
        tests("Budget", ["Budget", "Policy", "Units"]),
        tests("Admission", ["Admission", "Policy", "Units"]),
        tests("Scheduling", ["Scheduling", "Policy", "Units"]),
        tests("Routing", ["Routing", "Policy", "Units"]),
        tests("Decision", deciding + ["Decision", "Simulation", containers]),
        tests("Simulation", ["Simulation", "Estimation", "Units"], exclude: ["Fixtures"]),
        tests(
            "Engine", ["Engine", "Simulation", "EventLoop", "Units"],
            exclude: ["Fixtures", "RealEngines", "run.sh"]),
        tests("Replay", ["Replay", "Engine", "Simulation", "EventLoop", "Units"]),
        tests("EventLoop", ["EventLoop", "Units"]),
        .target(
            name: "TransportSupport",
            dependencies: ["Transport", "EventLoop", "Wire", "Units", "COpenSSL"],
            path: "Tests/TransportSupport", swiftSettings: settings),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        tests(
            "Transport",
            ["Transport", "EventLoop", "Wire", "Units", "TransportSupport", "AllocationCounter"]),
        tests("Hostile", ["Transport", "EventLoop", "Wire", "Units", "TransportSupport"]),
        tests(
            "Store",
            ["Store", "Budget", "Admission", "Scheduling", "Policy", "EventLoop", "Units"]),
        tests("Ledger", ["Ledger", "Units"]),
        tests("Identity", ["Identity", "Units", "Wire", "COpenSSL"]),
        tests("Tokenization", ["Tokenization", "Units"], exclude: ["Tables"]),
        tests("Telemetry", ["Telemetry", "Units"]),
        tests(
            "Configuration", ["Configuration", "Policy", "Units", "EventLoop"],
            exclude: ["Golden"]),
        tests("House", []),
        .executableTarget(
            name: "decisions",
            dependencies: ["Decision", "EventLoop", "Policy", "Routing", "Units"],
            path: "Tests/Benchmarks/Decisions", swiftSettings: settings,
            // Without Foundation nothing else asks for it.
            linkerSettings: [.linkedLibrary("m")]),
        .executableTarget(
            name: "tokens", dependencies: ["EventLoop", "Tokenization", "Units"],
            path: "Tests/Benchmarks/Tokens", swiftSettings: settings),
        .executableTarget(
            name: "estimates",
            dependencies: ["Dialects", "Estimation", "EventLoop", "Units", "Wire"],
            path: "Tests/Benchmarks/Estimates", swiftSettings: settings,
            linkerSettings: [.linkedLibrary("m")]),
        .executableTarget(
            name: "budgets",
            dependencies: ["Store", "Budget", "EventLoop", "Policy", "Units", "TestSupport"],
            path: "Tests/Benchmarks/Budgets", swiftSettings: settings,
            linkerSettings: [.linkedLibrary("m")]),
    ]
)
