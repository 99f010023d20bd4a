// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import EventLoop
import Gateway
import Ledger
import Policy
import Store
import Units

struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage", abstract: "Adds up what was used, from the ledger.",
        discussion: """
            Reads the ledger that the configuration names, or the files given, full ones beside \
            them included; every entry counts once, however often it is read. Times are RFC 3339, \
            or days in UTC. Broken lines are counted and told of on standard error.
            """)

    @Option(name: .long, help: "The configuration, a YAML file: its ledger is read.")
    var config: String?

    @Option(name: .long, help: "A ledger's file, in place of the configuration's. Repeatable.")
    var file: [String] = []

    @Flag(
        name: .long,
        help: "With --config: the stream, where the ledger is a file too.")
    var stream = false

    @Option(
        name: .long,
        help: "tenant, model, class, key, outcome, source, day, hour: some of them, by commas.")
    var by = "tenant,model"

    @Option(name: .long, help: "Settled then or later.")
    var from: String?

    @Option(name: .long, help: "Settled before then.")
    var to: String?

    @Option(name: .long, help: "table, csv or json.")
    var format: UsageFormat?

    @Flag(name: .long, help: "The same as --format json.")
    var json = false

    func validate() throws {
        _ = try columns()
        let (from, to) = try times()
        guard from < to else {
            throw ValidationError("--from \(self.from ?? "") is not before --to \(self.to ?? "")")
        }
        guard config != nil || !file.isEmpty else {
            throw ValidationError("give --config FILE, or --file FILE")
        }
    }

    func run() throws {
        let columns = try columns()
        let (from, to) = try times()
        var sums = UsageSums(by: columns, from: from, to: to)
        try read(into: &sums)
        tell(sums)
        StandardOutput.text(
            UsageTable(columns, sums.rows).text(json ? .json : format ?? .table))
    }

    private func read(into sums: inout UsageSums) throws {
        for path in file { try add(path, to: &sums) }
        guard file.isEmpty, let config else { return }
        let loaded = try ConfigurationLoading.load(config, previous: nil)
        guard let ledger = loaded.fixed.ledger else {
            throw Failure.input(["\(config): ledger: there is none"])
        }
        if let found = ledger.file, !stream {
            try add(found.path, to: &sums)
        } else if let found = ledger.stream, case .redis(let redis) = loaded.fixed.store {
            try add(found, of: redis, to: &sums)
        } else {
            throw Failure.input(["\(config): ledger.redis_stream: there is none"])
        }
    }

    private func add(
        _ stream: LedgerStreamPolicy, of redis: RedisStorePolicy, to sums: inout UsageSums
    ) throws {
        do throws(StoreFault) {
            let resolver: Resolver
            do { resolver = try Resolver(limit: 16) } catch { throw .connection(error) }
            let shared = RedisShared(policy: redis, resolver: resolver)
            let isAll = try RedisLedgerReader.read(shared: shared, key: stream.key) { line in
                sums.add(line) != .tooMany
            }
            if !isAll { throw .command(Self.tooMany) }
        } catch {
            throw Failure.environment("\(stream.key): \(error)")
        }
    }

    private static let tooMany =
        "more than \(UsageSums.mostRows) rows, or entries of too many gateways: ask for fewer "
        + "columns"

    private func add(_ path: String, to sums: inout UsageSums) throws {
        let isAll: Bool
        do throws(SystemFault) {
            isAll = try LedgerFiles.add(path, to: &sums)
        } catch {
            throw Failure.input(["\(path): \(error)"])
        }
        guard isAll else {
            throw Failure.input(["\(path): \(Self.tooMany)"])
        }
    }

    private func tell(_ sums: UsageSums) {
        if sums.broken > 0 {
            StandardOutput.error([
                "\(sums.broken) broken \(sums.broken == 1 ? "line was" : "lines were") left out"
            ])
        }
        if sums.repeated > 0 {
            StandardOutput.error([
                "\(sums.repeated) \(sums.repeated == 1 ? "entry stands" : "entries stand") there "
                    + "more than once, and counted once"
            ])
        }
    }

    private func columns() throws -> [UsageColumn] {
        var columns: [UsageColumn] = []
        for name in by.split(separator: ",", omittingEmptySubsequences: false) {
            guard let column = UsageColumn(rawValue: String(name)) else {
                let known = UsageColumn.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--by: '\(name)' is none of \(known)")
            }
            guard !columns.contains(column) else {
                throw ValidationError("--by: '\(name)' stands twice")
            }
            columns.append(column)
        }
        return columns
    }

    private func times() throws -> (WallTime, WallTime) {
        (
            try Self.time("--from", from) ?? WallTime(nanoseconds: .min),
            try Self.time("--to", to) ?? WallTime(nanoseconds: .max)
        )
    }

    private static func time(_ option: String, _ text: String?) throws -> WallTime? {
        guard let text else { return nil }
        guard let time = LedgerTime.parse(text) else {
            throw ValidationError(
                "\(option): '\(text)' is no time: 2026-11-28, or 2026-11-28T19:05:00Z")
        }
        return time
    }
}

enum UsageFormat: String, ExpressibleByArgument, CaseIterable {
    case table, csv, json
}
