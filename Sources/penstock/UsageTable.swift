// SPDX-License-Identifier: Apache-2.0

import Ledger
import Units
import Wire

/// A usage report as a text.
struct UsageTable {
    private let columns: [UsageColumn]
    private let rows: [UsageRow]

    init(_ columns: [UsageColumn], _ rows: [UsageRow]) {
        self.columns = columns
        self.rows = rows
    }

    /// Whole, with its last line feed.
    func text(_ format: UsageFormat) -> String {
        switch format {
        case .table: table
        case .csv: csv
        case .json: json
        }
    }

    private static let numbers = [
        "requests", "input", "cached_input", "output", "reasoning", "cost",
    ]

    private static func amounts(_ row: UsageRow) -> [String] {
        [
            "\(row.requests)", "\(row.input)", "\(row.cachedInput)", "\(row.output)",
            "\(row.reasoning)", row.cost.text,
        ]
    }

    private var head: [String] { columns.map(\.rawValue) + Self.numbers + ["currency"] }

    private func cells(_ row: UsageRow) -> [String] {
        row.values + Self.amounts(row) + [row.currency]
    }

    // MARK: table

    private var table: String {
        let lines = [head] + rows.map(cells)
        let widths = head.indices.map { place in lines.map { $0[place].count }.max() ?? 0 }
        let numbers = columns.count..<columns.count + Self.numbers.count
        return lines.map { line in
            let padded = line.indices.map { place in
                let rest = String(repeating: " ", count: widths[place] - line[place].count)
                return numbers.contains(place) ? rest + line[place] : line[place] + rest
            }
            var text = padded.joined(separator: "  ")
            while text.last == " " { text.removeLast() }
            return text + "\n"
        }.joined()
    }

    // MARK: CSV

    /// RFC 4180, but for the line ends. Spreadsheets take a leading `=`, `+`, `-` or `@` for a
    /// formula: such a text gets an apostrophe.
    private var csv: String {
        ([head] + rows.map(cells)).map { line in
            line.map(Self.cell).joined(separator: ",") + "\n"
        }.joined()
    }

    private static func cell(_ text: String) -> String {
        var text = text
        if let first = text.utf8.first, "=+-@".utf8.contains(first) { text = "'" + text }
        guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
        return "\"\(text.replacing("\"", with: "\"\""))\""
    }

    // MARK: JSON

    /// Numbers with all their digits.
    private var json: String {
        let objects = rows.map { row in
            var members = zip(columns, row.values).map { column, value in
                "\(Self.quoted(column.rawValue)): \(Self.quoted(value))"
            }
            members += zip(Self.numbers, Self.amounts(row)).map { "\(Self.quoted($0)): \($1)" }
            let currency = row.currency.isEmpty ? "null" : Self.quoted(row.currency)
            members.append("\"currency\": \(currency)")
            return "{\(members.joined(separator: ", "))}"
        }
        return objects.isEmpty ? "[]\n" : "[\n\(objects.joined(separator: ",\n"))\n]\n"
    }

    private static func quoted(_ text: String) -> String {
        var written = ByteBuffer()
        JSONWriter.write(into: &written) { $0.string(text) }
        return unsafe String(decoding: unsafe written.readable, as: UTF8.self)
    }
}
