// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// What `penstock simulate` prints: a row for each case, beside its bars.
struct SimulatedTable {
    private let fixture: FleetFixture?
    private let rows: [FixtureRow]
    private let verdicts: [[FixtureVerdict]]

    /// Names of the trace's tenants, by number; beyond them numbers stand for themselves.
    private let tenants: [String]

    init(_ fixture: FleetFixture?, _ rows: [FixtureRow], tenants: [String] = []) {
        self.fixture = fixture
        self.tenants = tenants
        self.rows = rows
        verdicts = rows.map { row in row.of.bars.map { row.verdict($0, in: rows) } }
    }

    var missesABar: Bool {
        verdicts.contains { $0.contains { $0.isKnown && !$0.isMet } }
            || fixture == .prefix && !FleetFixture.missedKnees(rows).isEmpty
    }

    // MARK: for people

    private var columns: [FleetColumn] {
        usualColumns + (rows.contains { !$0.of.setup.joins.isEmpty } ? Self.joinColumns : [])
    }

    private static let joinColumns: [FleetColumn] = [
        .joinedShare, .joinedHits, .joinedHitRatio, .poolHitRatio, .ttftBeforeJoin, .ttftAfterJoin,
    ]

    private var usualColumns: [FleetColumn] {
        fixture?.columns ?? [
            .requests, .ttftP50, .ttftP99, .tpotP50, .tpotP99, .preemptions, .kvPeak, .shedRatio,
            .refusals, .metTargets, .goodTokens, .hitRatio,
        ]
    }

    /// A Markdown table, and below it what is missed.
    var lines: [String] {
        let labels = rows.first?.of.labels.map(\.name) ?? []
        let head =
            labels + ["rule", "gateways", "scrape"] + columns.map(\.rawValue)
            + (fixture == nil ? [] : ["bars"])
        var table = [head]
        for (row, verdicts) in zip(rows, verdicts) {
            let setup = row.of.setup
            var cells = row.of.labels.map(\.value)
            cells += [
                "\(setup.rule)", "\(setup.gateways)", "\(setup.scrapeInterval)",
            ]
            cells += columns.map { Self.text(row.mean[$0], digits: $0.digits) }
            if fixture != nil { cells.append(Self.summary(verdicts)) }
            table.append(cells)
        }
        return Self.aligned(table, left: labels.count + 1) + tenantLines + kneeLines + missed
    }

    private static func summary(_ verdicts: [FixtureVerdict]) -> String {
        let known = verdicts.filter(\.isKnown)
        return known.isEmpty ? "" : "\(known.count { $0.isMet }) of \(known.count)"
    }

    private var missed: [String] {
        var lines: [String] = []
        for (row, verdicts) in zip(rows, verdicts) {
            for verdict in verdicts where verdict.isKnown && !verdict.isMet {
                let setup = row.of.setup
                let place =
                    row.of.labels.map(\.value) + [
                        "\(setup.rule)", "\(setup.gateways) gateways",
                        "scrapes every \(setup.scrapeInterval)",
                    ]
                let column = verdict.bar.column
                let relation = verdict.bar.direction == .atMost ? "at most" : "at least"
                lines.append(
                    "missed: \(place.joined(separator: ", ")): \(column.rawValue) "
                        + "\(Self.text(verdict.found, digits: column.digits + 1)), \(relation) "
                        + "\(Self.text(verdict.bound, digits: column.digits + 1)) wanted")
            }
        }
        if fixture == .prefix {
            lines += FleetFixture.missedKnees(rows).map { knee in
                "missed: \(knee.rule), \(knee.gateways) gateways: knee "
                    + "\(knee.knee.map { "\($0)/s" } ?? "below the first rate"), at least "
                    + "\(Self.text(knee.wanted, digits: 1))/s wanted"
            }
        }
        return lines.isEmpty ? [] : [""] + lines
    }

    private var kneeLines: [String] {
        guard fixture == .prefix else { return [] }
        return [""]
            + FleetFixture.knees(rows).map { knee in
                "knee: \(knee.rule), \(knee.gateways) gateways: "
                    + (knee.knee.map { "\($0)/s" } ?? "below the first rate")
            }
    }

    /// The tenants with the largest shares, in every row.
    private var tenantLines: [String] {
        guard fixture == nil, rows.contains(where: { $0.mean.tenants.count > 1 }) else { return [] }
        let labels = rows.first?.of.labels.map(\.name) ?? []
        var table = [
            labels + [
                "rule", "tenant", "requests", "service_share", "ttft_p50_s", "ttft_p99_s",
                "shed_ratio", "met_slo",
            ]
        ]
        let shown = rows.first?.mean.tenants.sorted { $0.requests > $1.requests }.prefix(8) ?? []
        for tenant in shown.map(\.tenant).sorted() {
            for row in rows {
                guard let found = row.mean.tenants.first(where: { $0.tenant == tenant }) else {
                    continue
                }
                table.append(
                    row.of.labels.map(\.value) + [
                        "\(row.of.setup.rule)", name(tenant),
                        Self.text(found.requests, digits: 0), Self.text(found.share, digits: 3),
                        Self.text(found.ttftP50, digits: 2), Self.text(found.ttftP99, digits: 2),
                        Self.text(found.shedRatio, digits: 3),
                        Self.text(found.metTargets, digits: 3),
                    ])
            }
        }
        return [""] + Self.aligned(table, left: labels.count + 2)
    }

    private func name(_ tenant: Int) -> String {
        tenants.isEmpty ? "\(tenant)" : tenants[tenant % tenants.count]
    }

    private static func aligned(_ table: [[String]], left: Int) -> [String] {
        let widths = (table.first ?? []).indices.map { column in
            table.map { $0[column].count }.max() ?? 0
        }
        var lines = table.map { cells in
            let padded = zip(cells, widths).enumerated().map { place, cell in
                let pad = String(repeating: " ", count: cell.1 - cell.0.count)
                return place < left ? cell.0 + pad : pad + cell.0
            }
            return "| " + padded.joined(separator: " | ") + " |"
        }
        let rule = widths.enumerated().map { place, width in
            let dashes = String(repeating: "-", count: width)
            return place < left ? dashes : dashes.dropLast() + ":"
        }
        lines.insert("| " + rule.joined(separator: " | ") + " |", at: 1)
        return lines
    }

    /// A dash for what is not a number.
    private static func text(_ value: Double, digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let whole = Int((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let rest = "\(whole % scale)"
        let zeros = String(repeating: "0", count: digits - rest.count)
        return "\(sign)\(whole / scale).\(zeros)\(rest)"
    }

    // MARK: for programs

    var json: String {
        var buffer = ByteBuffer()
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            if let fixture { json.member("fixture", fixture.rawValue) }
            json.key("runs")
            json.beginArray()
            for row in rows {
                for run in row.runs { write(run.report, run.seed, row.of, &json) }
            }
            json.endArray()
            writeBars(&json)
            if fixture == .prefix { writeKnees(&json) }
            json.endObject()
        }
        return unsafe String(decoding: buffer.readable, as: UTF8.self)
    }

    private func write(
        _ report: FleetReport, _ seed: UInt64, _ of: FixtureCase, _ json: inout JSONWriter
    ) {
        json.beginObject()
        writePlace(of, &json)
        json.member("seed", Int(clamping: seed))
        for column in FleetColumn.allCases {
            json.key(column.rawValue)
            if column.isCount, report[column].isFinite {
                json.int(Int(report[column]))
            } else {
                json.double(report[column])
            }
        }
        json.key("shares")
        json.beginArray()
        for share in report.shares { json.double(share) }
        json.endArray()
        if fixture == nil { write(report.tenants, &json) }
        json.endObject()
    }

    private func write(_ figures: [TenantFigures], _ json: inout JSONWriter) {
        json.key("tenants")
        json.beginArray()
        for tenant in figures {
            json.beginObject()
            json.member("tenant", name(tenant.tenant))
            json.member("requests", Int(tenant.requests))
            json.member("service_share", tenant.share)
            json.member("ttft_p50_s", tenant.ttftP50)
            json.member("ttft_p99_s", tenant.ttftP99)
            json.member("shed_ratio", tenant.shedRatio)
            json.member("met_slo", tenant.metTargets)
            json.endObject()
        }
        json.endArray()
    }

    private func writePlace(_ of: FixtureCase, _ json: inout JSONWriter) {
        for label in of.labels {
            json.key(label.name)
            if let number = Double(label.value) {
                json.double(number)
            } else {
                json.string(label.value)
            }
        }
        json.member("rule", "\(of.setup.rule)")
        json.member("gateways", of.setup.gateways)
        json.member("endpoints", of.setup.endpoints)
        json.member("scrape_ms", of.setup.scrapeInterval.seconds * 1e3)
    }

    private func writeBars(_ json: inout JSONWriter) {
        json.key("bars")
        json.beginArray()
        for (row, verdicts) in zip(rows, verdicts) {
            for verdict in verdicts {
                json.beginObject()
                writePlace(row.of, &json)
                json.member("column", verdict.bar.column.rawValue)
                json.member(
                    "relation", verdict.bar.direction == .atMost ? "at_most" : "at_least")
                json.member("bound", verdict.bound)
                json.member("found", verdict.found)
                json.member("met", verdict.isKnown && verdict.isMet)
                json.endObject()
            }
        }
        json.endArray()
    }

    private func writeKnees(_ json: inout JSONWriter) {
        json.key("knee")
        json.beginObject()
        for knee in FleetFixture.knees(rows) {
            json.key(knee.gateways == 1 ? "\(knee.rule)" : "\(knee.rule)*\(knee.gateways)")
            json.int(knee.knee ?? 0)
        }
        json.endObject()
    }
}
