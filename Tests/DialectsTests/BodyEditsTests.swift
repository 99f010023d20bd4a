// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units

/// The body that the engine gets; nil when it is the original.
private func edited(
    _ body: String, _ edits: BodyEdits = BodyEdits(), _ dialect: Dialect = .chatCompletions
) throws(BodyFault) -> String? {
    let inspection = try Inspected(body, dialect).inspection
    return Array(body.utf8).withRaw { raw in
        var buffer = ByteBuffer()
        let outcome = apply(body: raw, inspection: inspection, edits: edits, into: &buffer)
        return outcome == .edited ? buffer.string : nil
    }
}

struct BodyEditsTests {
    @Test(arguments: [
        "", #""max_tokens": 5"#, #""max_tokens":5.0,"max_completion_tokens":5"#,
        #""stream":true,"stream_options":{"include_usage":true}"#, #""cache_salt":"x","user":"u""#,
        #""max_tokens":null"#,
        #""stream_options.include_usage":1,"stream_options.include_usage":2"#,
        #""vllm_xargs":{"x":"y"},"vllm_xargs":null"#,
    ])
    func aBodyThatSaysItAllIsLeftAlone(members: String) throws {
        #expect(try edited(chat(members)) == nil)
    }

    @Test func anEditThatChangesNothingIsNone() throws {
        let body = chat(
            #""max_tokens":5.0,"min_tokens":5,"stream_options":{"include_usage":true}"#)
        let edits = BodyEdits(model: "m", bound: Tokens(5), askUsage: true)
        #expect(try edited(body, edits) == nil)
        let spelled = body.replacingFirst(#""model":"m""#, with: #""model":"\u006d""#)
        #expect(try edited(spelled, edits) == nil)
    }

    @Test(arguments: [
        (
            #"{"model":"m","messages":[{}]}"#,
            #"{"max_tokens":9,"model":"m","messages":[{}]}"#
        ),
        (
            #"{ "model":"m","messages":[{}],"max_tokens" : 100 }"#,
            #"{ "model":"m","messages":[{}],"max_tokens" : 9 }"#
        ),
        (
            #"{"max_tokens":null,"model":"m","messages":[{}],"max_completion_tokens":7}"#,
            #"{"max_tokens":9,"model":"m","messages":[{}],"max_completion_tokens":9}"#
        ),
        (
            #"{"model":"m","messages":[{}],"n_predict":100,"min_tokens":50}"#,
            #"{"max_tokens":9,"model":"m","messages":[{}],"n_predict":9,"min_tokens":9}"#
        ),
        (
            #"{"model":"m","messages":[{}],"max_t\u006fkens":100,"min_tokens":3}"#,
            #"{"model":"m","messages":[{}],"max_t\u006fkens":9,"min_tokens":3}"#
        ),
        (
            #"{"max_tokens":100,"model":"m","max_tokens":200,"messages":[{}]}"#,
            #"{"model":"m","max_tokens":9,"messages":[{}]}"#
        ),
    ])
    func theBoundIsSetUnderEveryName(body: String, wanted: String) throws {
        #expect(try edited(body, BodyEdits(bound: Tokens(9))) == wanted)
    }

    @Test(arguments: [
        "max_output_tokens", "max_new_tokens", "num_predict", #"max_new_t\u006fkens"#,
    ])
    func namesOfOtherPathsAreOnlyLowered(name: String) throws {
        for (given, wanted) in [
            ("100", "9"), ("-1", "9"), ("1e3", "9"), ("9.5", "9"), ("99999999999999999999", "9"),
            ("7", "7"), ("0", "0"), ("3.5", "3.5"), ("null", "null"), (#""100""#, "9"),
            (#""7""#, #""7""#),
            (#""many""#, #""many""#), (#""""#, #""""#), (#""1 00""#, #""1 00""#),
            (#"{"x":100}"#, #"{"x":100}"#), ("[100]", "[100]"), ("true", "true"),
        ] {
            let body = chat(#""max_tokens":5,"\#(name)" : \#(given),"x":[1.0]"#)
            let edited = try edited(body, BodyEdits(bound: Tokens(9)))
            #expect(
                edited
                    == chat(#""max_tokens":9,"\#(name)" : \#(wanted),"x":[1.0]"#))
        }
        // They are no bounds themselves: without one they stay, and none is made of them.
        #expect(try edited(chat(#""\#(name)":100"#)) == nil)
        #expect(
            try edited(chat(#""\#(name)":5"#), BodyEdits(bound: Tokens(9)))
                == chat(#""\#(name)":5"#).replacingFirst("{", with: #"{"max_tokens":9,"#))
    }

    @Test(arguments: [
        "parameters", "sampling_params", "options", "generation_config", "extra_body",
        #"p\u0061rameters"#,
    ])
    func boundsWithinOtherMembersAreOnlyLowered(name: String) throws {
        for (given, wanted) in [
            (#""max_new_tokens":100"#, #""max_new_tokens":9"#),
            (
                #""x":1,"max_tok\u0065ns" : -1 ,"y":[100]"#,
                #""x":1,"max_tok\u0065ns" : 9 ,"y":[100]"#
            ),
            (#""max_tokens":100,"max_tokens":"200""#, #""max_tokens":9,"max_tokens":9"#),
            (#""min_tokens":50,"n_predict":-1"#, #""min_tokens":9,"n_predict":9"#),
            (#""max_tokens":7"#, #""max_tokens":7"#),
            (#""z":{"max_tokens":100}"#, #""z":{"max_tokens":100}"#),
        ] {
            let body = chat(#""max_tokens":500,"\#(name)": {\#(given)},"n":1"#)
            #expect(
                try edited(body, BodyEdits(bound: Tokens(9)))
                    == chat(#""max_tokens":9,"\#(name)": {\#(wanted)},"n":1"#))
        }
        // They are no bounds themselves, nor do they stand for one.
        let alone = chat(#""\#(name)":{"max_tokens":5}"#)
        #expect(try edited(alone) == nil)
        #expect(
            try edited(alone, BodyEdits(bound: Tokens(9)))
                == alone.replacingFirst("{", with: #"{"max_tokens":9,"#))
    }

    @Test func aMemberIsNotTheOneOfTheSameNameWithinAnother() throws {
        let body = chat(#""max_tokens":100,"parameters":{"max_tokens":50},"max_tokens":200"#)
        #expect(
            try edited(body) == chat(#""parameters":{"max_tokens":50},"max_tokens":200"#))
    }

    @Test(arguments: ["min_tokens", "min_new_tokens", #"min_t\u006fkens"#])
    func lowerBoundsStayBelowTheBound(name: String) throws {
        for (given, wanted) in [
            ("100", "9"), ("10", "9"), ("9", "9"), ("0", "0"), ("null", "null"),
        ] {
            let body = chat(#""max_tokens":200,"\#(name)": \#(given)"#)
            #expect(
                try edited(body, BodyEdits(bound: Tokens(9)))
                    == chat(#""max_tokens":9,"\#(name)": \#(wanted)"#))
        }
        let twice = chat(#""\#(name)":100,"max_tokens":20,"\#(name)":50"#)
        #expect(
            try edited(twice, BodyEdits(bound: Tokens(9)))
                == chat(#""max_tokens":9,"\#(name)":9"#))
    }

    @Test func aBoundIsNeverBelowOne() throws {
        let body = chat(#""max_tokens":5"#)
        #expect(try edited(body, BodyEdits(bound: Tokens(0))) == chat(#""max_tokens":1"#))
    }

    @Test func aBoundThatSomeEnginesIgnoreIsAddedUnderTheCommonName() throws {
        #expect(
            try edited(#"{"model":"m","messages":[{}],"n_predict":7}"#)
                == #"{"max_tokens":7,"model":"m","messages":[{}],"n_predict":7}"#)
        #expect(
            try edited(
                #"{"model":"m","prompt":"x","max_completion_tokens":7}"#, BodyEdits(), .completions)
                == #"{"max_tokens":7,"model":"m","prompt":"x","max_completion_tokens":7}"#)
        #expect(try edited(chat(#""max_completion_tokens":7"#)) == nil)
    }

    @Test func embeddingsGetNoBound() throws {
        let body = #"{"model":"m","input":"x"}"#
        #expect(try edited(body, BodyEdits(bound: Tokens(5)), .embeddings) == nil)
    }

    @Test(arguments: [
        ("", #""stream_options":{"include_usage":true},"#, ""),
        (#""stream_options":null"#, "", #""stream_options":{"include_usage":true}"#),
        (#""stream_options":{}"#, "", #""stream_options":{"include_usage":true}"#),
        (
            #""stream_options":{ "include_obfuscation":false}"#, "",
            #""stream_options":{"include_usage":true, "include_obfuscation":false}"#
        ),
        (
            #""stream_options":{"continuous_usage_stats":true,"include_usage" : false }"#, "",
            #""stream_options":{"continuous_usage_stats":true,"include_usage" : true }"#
        ),
        (
            #""stream_options":{"include_usage":null}"#, "",
            #""stream_options":{"include_usage":true}"#
        ),
        (
            #""stream_options":{"include_usage":true},"stream_options":{"x":1}"#, "",
            #""stream_options":{"include_usage":true,"x":1}"#
        ),
    ])
    func askingForUsageKeepsTheOtherOptions(members: String, front: String, wanted: String) throws {
        let expected = chat(wanted).replacingFirst("{", with: "{" + front)
        #expect(try edited(chat(members), BodyEdits(askUsage: true)) == expected)
    }

    @Test(arguments: [
        ("m", "other", #""other""#), ("m", "a\"b\\\u{1}é", #""a\"b\\\u0001é""#),
        (#"\u006d"#, "x", #""x""#), ("m", "m2", #""m2""#), ("m2", "m", #""m""#),
    ])
    func theModelIsRenamed(name: String, wanted: String, spelled: String) throws {
        let body = #"{"model": "\#(name)" ,"messages":[{}]}"#
        #expect(
            try edited(body, BodyEdits(model: wanted))
                == #"{"model": \#(spelled) ,"messages":[{}]}"#)
    }

    @Test(arguments: [
        #"{"priority":1,"model":"m","messages":[{}]}"#,
        #"{"model":"m","messages":[{}],"priority":1}"#,
        #"{"model":"m","priority":1,"messages":[{}]}"#,
        #"{"priority":1,"kv_transfer_params":{"a":[1]},"model":"m","messages":[{}]}"#,
        #"{"priority":1,"model":"m","request_id":"x","rid":"y","messages":[{}],"id_slot":0}"#,
        #"{"priority":1,"priority":2,"prior\u0069ty":3,"model":"m","messages":[{}]}"#,
        #"{"model":"m","messages":[{}],"priority":1,"priority":2,"bootstrap_host":"h"}"#,
        #"{"disaggregated_params":{},"model":"m","messages":[{}],"data_parallel_rank":1}"#,
    ])
    func whatIsInternalToADeploymentIsRemoved(body: String) throws {
        #expect(try edited(body) == #"{"model":"m","messages":[{}]}"#)
    }

    @Test(arguments: [
        (EngineFamily.vllm, 3, "-3"), (.vllm, -10, "10"), (.vllm, 0, "0"), (.sglang, 3, "3"),
        (.sglang, -10, "-10"), (.tensorRT, 0, "0.50"), (.tensorRT, 10, "1.00"),
        (.tensorRT, -10, "0.00"), (.tensorRT, -9, "0.05"), (.tensorRT, 3, "0.65"),
        (.vllm, 99, "-10"),
    ])
    func aPriorityIsSpelledInTheEnginesOwnDirection(
        family: EngineFamily, level: Int, wanted: String
    ) throws {
        let edits = BodyEdits(priority: family.priority(level))
        for own in ["", #""priority":1,"#, #""prior\u0069ty" : {},"priority":-99,"#] {
            #expect(
                try edited("{\(own)" + #""model":"m","messages":[{}]}"#, edits)
                    == #"{"priority":\#(wanted),"model":"m","messages":[{}]}"#)
        }
        let both = BodyEdits(bound: Tokens(9), askUsage: true, priority: family.priority(level))
        #expect(
            try edited(#"{"model":"m","messages":[{}],"priority":7}"#, both)
                == #"{"max_tokens":9,"priority":\#(wanted),"#
                + #""stream_options":{"include_usage":true},"model":"m","messages":[{}]}"#)
    }

    @Test(arguments: [EngineFamily.triton, .llamaCpp, .tgi, .openAI])
    func otherFamiliesHaveNoPriority(family: EngineFamily) { #expect(family.priority(5) == nil) }

    @Test func onlyTheLastOfRepeatedMembersStays() throws {
        let body =
            #"{"n":1,"stream":false,"model":"m","n":2,"messages":[{}],"stream":true,"n":3,"#
            + #""user":"u"}"#
        #expect(
            try edited(body) == #"{"model":"m","messages":[{}],"stream":true,"n":3,"user":"u"}"#)
    }

    @Test func whatIsNotEditedKeepsItsBytes() throws {
        let body = """
            \u{FEFF} {\t"x" : [ 1.50 , "\\u00e9\\/" ] ,\r\n "model":"m" , "messages":[ {} ],
             "max_tokens" :100 }\u{20}
            """
        #expect(
            try edited(body, BodyEdits(bound: Tokens(9)))
                == body.replacingFirst(":100", with: ":9"))
    }
}

extension String {
    func replacingFirst(_ part: String, with other: String) -> String {
        guard let range = firstRange(of: part) else { return self }
        return replacingCharacters(in: range, with: other)
    }
    private func replacingCharacters(in range: Range<String.Index>, with other: String) -> String {
        self[..<range.lowerBound] + other + self[range.upperBound...]
    }
}

// MARK: Any body, any edits

/// The members that a body may repeat, with values that are allowed.
private let repeatable: [(String, [String])] = [
    ("stream", ["true", "false", "null"]), ("max_tokens", ["100", "null", "7.0", "1e2"]),
    ("max_completion_tokens", ["50", "null"]), ("n_predict", ["9", "900"]),
    ("min_tokens", ["0", "60", "null"]), ("n", ["1", "2"]), ("best_of", ["3"]),
    (
        "stream_options",
        ["null", "{}", #"{"include_usage":false}"#, #"{"a":[],"include_usage":true,"b":{}}"#]
    ),
    ("priority", ["1", "{}"]), ("kv_transfer_params", ["null", #"{"a":"}"}"#]), ("rid", [#""x""#]),
]
private let internals = ["priority", "kv_transfer_params", "rid"]
private let bounds = ["max_tokens", "max_completion_tokens", "n_predict"]

extension JSONMaker {
    /// A body with the required members and any others, in any order and spelling.
    fileprivate mutating func body() -> String {
        var members = [
            string("model") + space() + ":" + space() + string("m\(below(3))"),
            string("messages") + ":" + #"[{"content":\#(string(words()))}]"#,
        ]
        for _ in 0..<below(7) {
            let (name, values) = repeatable[below(repeatable.count)]
            members.append(string(name) + space() + ":" + space() + values[below(values.count)])
        }
        for _ in 0..<below(4) { members.append(string("x" + words()) + ":" + value()) }
        for index in members.indices { members.swapAt(index, below(members.count)) }
        return space() + "{" + space() + members.joined(separator: space() + "," + space())
            + space()
            + "}" + space()
    }
}

/// What the edits mean, worked out on the tree.
private func expected(_ original: JSONValue, _ edits: BodyEdits) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    let known = repeatable.map { $0.0 }
    for (index, member) in original.members.enumerated() {
        if internals.contains(member.name) { continue }
        let isRepeated = original.members[(index + 1)...].contains { $0.name == member.name }
        if isRepeated, known.contains(member.name) { continue }
        members.append(member)
    }
    let largest = bounds.compactMap { original[$0]?.number }.max()
    for index in members.indices {
        let name = members[index].name
        if name == "model", let model = edits.model { members[index].value = .string(model) }
        guard let bound = edits.bound else { continue }
        if bounds.contains(name) { members[index].value = .number("\(bound)") }
        if name == "min_tokens", let least = members[index].value.number,
            least > Double(bound.count)
        {
            members[index].value = .number("\(bound)")
        }
    }
    if edits.askUsage { askUsage(&members) }
    let isCommon = members.contains {
        $0.name == "max_tokens" || $0.name == "max_completion_tokens"
    }
    if !isCommon, let bound = edits.bound.map({ Double($0.count) }) ?? largest {
        members.insert(.init("max_tokens", .number("\(Int(bound))")), at: 0)
    }
    return members
}

private func askUsage(_ members: inout [JSONValue.Member]) {
    guard let index = members.firstIndex(where: { $0.name == "stream_options" }) else {
        let options = JSONValue.object([.init("include_usage", .bool(true))])
        members.insert(.init("stream_options", options), at: 0)
        return
    }
    var options = members[index].value.members
    if let inner = options.firstIndex(where: { $0.name == "include_usage" }) {
        options[inner].value = .bool(true)
    } else {
        options.insert(.init("include_usage", .bool(true)), at: 0)
    }
    members[index].value = .object(options)
}

/// Numbers by value: a bound may keep the client's spelling.
private func same(_ left: [JSONValue.Member], _ right: [JSONValue.Member]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).allSatisfy { left, right in
        guard left.name == right.name else { return false }
        if bounds.contains(left.name) { return left.value.number == right.value.number }
        return left.value == right.value
    }
}

struct AnyBodyTests {
    @Test(arguments: 0..<150 as Range<UInt64>)
    func editsChangeWhatTheyAreAboutAndNothingElse(seed: UInt64) throws {
        var maker = JSONMaker(seed: seed)
        for _ in 0..<10 {
            let body = maker.body()
            let original = try #require(JSONValue(body))
            let edits = BodyEdits(
                model: [nil, "m1", "a\"\u{7}"][maker.below(3)],
                bound: [nil, Tokens(9), Tokens(100), Tokens(4000)][maker.below(4)],
                askUsage: maker.below(2) == 0)
            let wanted = expected(original, edits)
            if let text = try edited(body, edits) {
                let got = JSONValue(text)
                #expect(same(got?.members ?? [], wanted), "\(body) → \(text)")
                #expect(text != body)
                // A second pass finds nothing left to do.
                #expect(try edited(text, edits) == nil)
            } else {
                #expect(same(original.members, wanted), "\(body)")
            }
        }
    }
}
