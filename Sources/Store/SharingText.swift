// SPDX-License-Identifier: Apache-2.0

public import Admission
public import Scheduling
public import Units

/// Accounts and reports as they stand in Redis: words of digits, the same for every gateway of this
/// version. What is read may be anybody's: whatever is not of the form is nothing.
public enum SharingText {
    // MARK: accounts

    /// Words before the lists: slack, prefilling, committed, turnover, left, prompts, squares,
    /// common, how many cohorts, and one more than there are of bounds; none where these are not
    /// told.
    private static let headWords = 10

    /// Without the slack, which the script puts before it.
    public static func text(of account: EndpointAccount) -> String {
        var (cohorts, bounds): ([Int], [Int]) = ([], [])
        account.cohorts.each { place, cohort in
            cohorts += [place, cohort.held, cohort.rest, cohort.width]
        }
        account.bounds?.each { place, cohort in
            bounds += [place, cohort.held, cohort.rest, cohort.width]
        }
        var words = [
            account.prefilling.count, account.committed.count, account.turnover, account.left,
            account.prompts, account.cohorts.squares, account.common.count, cohorts.count / 4,
            account.bounds == nil ? 0 : bounds.count / 4 + 1,
        ]
        words += cohorts + bounds
        for run in account.runs { words += [Int(run.key), run.tokens, run.place] }
        return words.map { String(max(0, $0)) }.joined(separator: " ")
    }

    /// Of slack and account; nil for anything else.
    public static func account(_ text: Substring) -> EndpointAccount? {
        guard let words = numbers(text, upTo: Cohorts.mostSquares), words.count >= headWords,
            words.allSatisfy({ $0 >= 0 }), words[8] <= Cohorts.count,
            words[9] <= Cohorts.count + 1
        else { return nil }
        let bounds = headWords + 4 * words[8]
        let runs = bounds + 4 * max(0, words[9] - 1)
        guard words.count >= runs, (words.count - runs).isMultiple(of: 3),
            words.count - runs <= 3 * (CommonRun.most + CommonRun.mostWanted)
        else { return nil }
        var account = EndpointAccount()
        account.slack = Tokens(words[0])
        account.prefilling = Tokens(words[1])
        account.committed = Tokens(words[2])
        account.turnover = words[3]
        account.left = words[4]
        account.prompts = words[5]
        account.common = Tokens(words[7])
        account.cohorts = cohorts(words[headWords..<bounds])
        account.cohorts.add(squares: words[6])
        if words[9] > 0 { account.bounds = cohorts(words[bounds..<runs]) }
        for place in stride(from: runs, to: words.count, by: 3) {
            let (tokens, cohort) = (words[place + 1], words[place + 2])
            guard tokens <= Cohorts.most, cohort <= CommonRun.everybodys else { return nil }
            account.runs.append(
                CommonRun(key: UInt64(words[place]), tokens: tokens, place: cohort))
        }
        return account
    }

    private static func cohorts(_ words: ArraySlice<Int>) -> Cohorts {
        var cohorts = Cohorts()
        for place in stride(from: words.startIndex, to: words.endIndex, by: 4) {
            cohorts.add(
                Cohorts.Cohort(
                    held: words[place + 1], rest: words[place + 2], width: words[place + 3]),
                at: words[place])
        }
        return cohorts
    }

    /// A claim as the script reads it: held, rest, width, limit, beside, the rest to its bound, the
    /// limit for that, and the runs.
    static func text(of want: SharedEndpoint.Want) -> String {
        var words = [
            want.sequence.held.count, want.sequence.rest.count, want.sequence.width,
            want.limit.count, want.beside.count, want.longest.rest.count, want.most.count,
        ]
        for run in want.runs { words += [Int(run.key), run.tokens] }
        return words.map { String(max(0, $0)) }.joined(separator: " ")
    }

    // MARK: reports

    /// Entries with a letter each: tenants (T), backlogs (B), lessons (L), placements (P). Names of
    /// blocks are salted with the model's place in the configuration: where two gateways have their
    /// models in another order, they know each other's prompts not.
    public static func text(of report: GatewayReport, _ names: SharingNames) -> String {
        var entries: [String] = []
        for told in report.tenants {
            guard let words = names.words(told.trafficClass, told.tenant) else { continue }
            let waited = told.waited.map { $0.nanoseconds / 1_000 } ?? -1
            entries.append(
                "T \(words) \(told.served) \(told.servedBefore) \(told.counter) \(waited) "
                    + (told.holds ? "1" : "0"))
        }
        for backlog in report.backlogs {
            guard let word = names.word(backlog.trafficClass) else { continue }
            entries.append("B \(word) \(backlog.needs.count)")
        }
        for lesson in report.lessons {
            guard let model = names.word(lesson.model), let tenant = names.word(lesson.tenant)
            else { continue }
            entries.append(
                "L \(lesson.number) \(model) \(tenant) \(lesson.bound.count) "
                    + "\(lesson.produced.count)")
        }
        for placement in report.placements {
            guard let endpoint = names.word(placement.endpoint) else { continue }
            let blocks = placement.blocks.map { String($0, radix: 16) }.joined(separator: " ")
            entries.append("P \(placement.number) \(endpoint) \(blocks)")
        }
        return entries.isEmpty ? "-" : entries.joined(separator: ";")
    }

    /// As it was told `age` ago: waits have grown since. Entries that are none, or that speak of
    /// what this gateway does not have, are left out, as are more of them than a report has.
    public static func report(
        _ text: Substring, age: Duration, _ names: SharingNames
    ) -> GatewayReport {
        var report = GatewayReport()
        for entry in text.split(separator: ";", maxSplits: 256) {
            let words = entry.split(separator: " ")
            switch words.first {
            case "T" where report.tenants.count < GatewayReport.most:
                if let told = tenant(words, age, names) { report.tenants.append(told) }
            case "B" where report.backlogs.count < GatewayReport.most:
                if let backlog = backlog(words, names) { report.backlogs.append(backlog) }
            case "L" where report.lessons.count < GatewayReport.mostLessons:
                if let lesson = lesson(words, names) { report.lessons.append(lesson) }
            case "P" where report.placements.count < GatewayReport.mostPlacements:
                if let placement = placement(words, names) { report.placements.append(placement) }
            default: continue
            }
        }
        return report
    }

    private static func tenant(
        _ words: [Substring], _ age: Duration, _ names: SharingNames
    ) -> GatewayReport.Tenant? {
        guard words.count == 8, let trafficClass = names.trafficClass(words[1]),
            let tenant = names.tenant(words[2]), let served = number(words[3], upTo: 1 << 52),
            let before = number(words[4], upTo: 1 << 52), let counter = number(words[5]),
            let waited = number(words[6], upTo: 1 << 50)
        else { return nil }
        let since = waited < 0 ? nil : Duration(nanoseconds: Int64(waited) * 1_000) + age
        var told = GatewayReport.Tenant(
            trafficClass, tenant, served: served, servedBefore: before, counter: counter,
            waited: since)
        told.holds = words[7] == "1"
        return told
    }

    private static func backlog(
        _ words: [Substring], _ names: SharingNames
    ) -> GatewayReport.Backlog? {
        guard words.count == 3, let trafficClass = names.trafficClass(words[1]),
            let needs = number(words[2], upTo: Cohorts.most), needs >= 0
        else { return nil }
        return GatewayReport.Backlog(trafficClass, needs: Tokens(needs))
    }

    private static func lesson(
        _ words: [Substring], _ names: SharingNames
    ) -> GatewayReport.Lesson? {
        guard words.count == 6, let number = number(words[1]), let model = names.model(words[2]),
            let tenant = names.tenant(words[3]), let bound = self.number(words[4]),
            let produced = self.number(words[5]), bound >= 0, produced >= 0
        else { return nil }
        return GatewayReport.Lesson(
            number: number, model: model, tenant: tenant, bound: Tokens(bound),
            produced: Tokens(produced))
    }

    private static func placement(
        _ words: [Substring], _ names: SharingNames
    ) -> GatewayReport.Placement? {
        guard (4...(3 + GatewayReport.mostBlocks)).contains(words.count),
            let number = number(words[1]), let endpoint = names.endpoint(words[2])
        else { return nil }
        let blocks = words[3...].compactMap { UInt64($0, radix: 16) }
        guard blocks.count == words.count - 3 else { return nil }
        return GatewayReport.Placement(number: number, endpoint: endpoint, blocks: blocks)
    }

    // MARK: replies

    /// The script's answer, for the gateway that asked; nil for anything else. Reports are there
    /// where they were asked for.
    static func reply(
        _ text: String, hasReports: Bool, _ names: SharingNames
    ) -> (SharedEndpoint.Reply, [PeerReport]?)? {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard let head = lines.popFirst(), let first = numbers(head, upTo: 1 << 52),
            first.count == 2, first.allSatisfy({ $0 >= 0 }), first[0] <= 1
        else { return nil }
        var reply = SharedEndpoint.Reply(
            isGranted: first[0] == 1, slack: Tokens(first[1]), peers: [])
        var reports: [PeerReport] = []
        for line in lines.prefix(2 * SharedEndpoint.most) {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let raw = UInt64(words[1], radix: 16) else { return nil }
            let gateway = GatewayID(raw: raw)
            if words[0] == "E" {
                guard let account = account(words[2]) else { return nil }
                reply.peers.append(SharedEndpoint.Peer(gateway, account))
            } else if words[0] == "R" {
                let parts = words[2].split(separator: " ", maxSplits: 1)
                guard let age = parts.first.flatMap({ number($0, upTo: 1 << 50) }), age >= 0 else {
                    return nil
                }
                let told = report(
                    parts.count == 2 ? parts[1] : "",
                    age: Duration(nanoseconds: Int64(age) * 1_000), names)
                reports.append(PeerReport(gateway, told))
            } else {
                return nil
            }
        }
        return (reply, hasReports ? reports : nil)
    }

    // MARK: words

    private static func numbers(_ text: Substring, upTo most: Int) -> [Int]? {
        var numbers: [Int] = []
        for word in text.split(separator: " ") {
            guard let number = number(word, upTo: most) else { return nil }
            numbers.append(number)
        }
        return numbers
    }

    /// Within what can be added up for ever without an overflow.
    private static func number(_ word: Substring, upTo most: Int = 1 << 60) -> Int? {
        guard let number = Int(word), (-most...most).contains(number) else { return nil }
        return number
    }
}
