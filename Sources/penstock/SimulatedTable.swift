// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// What `penstock simulate` prints: a row for each case, beside its bars.
struct SimulatedTable {
    private let fixture: FleetFixture?
    private let rows: [FixtureRow]
    private let verdicts: [[FixtureVerdict]]

    init(_ fixture: FleetFixture?, _ rows: [FixtureRow]) {
        self.fixture = fixture
        self.rows = rows
        verdicts = rows.map { row in row.of.bars.map { row.verdict($0, in: rows) } }
    }

    var missesABar: Bool {
        verdicts.contains { $0.contains { $0.isKnown && !$0.isMet } }
    }

    // MARK: for people

    private var columns: [FleetColumn] {
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
        return Self.aligned(table, left: labels.count + 1) + shareLines + kneeLines + missed
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

    private var shareLines: [String] {
        guard fixture == nil, let row = rows.first, row.mean.shares.count > 1 else { return [] }
        return [""]
            + rows.map { row in
                let shares = row.mean.shares.prefix(50).map { Self.text(100 * $0, digits: 1) }
                return "\(row.of.setup.rule): service by tenant, %: "
                    + shares.joined(separator: " ")
            }
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
            json.double(report[column])
        }
        json.key("shares")
        json.beginArray()
        for share in report.shares { json.double(share) }
        json.endArray()
        json.endObject()
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
