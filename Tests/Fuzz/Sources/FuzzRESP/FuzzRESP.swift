// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Store
import Units

private struct Reading: Equatable {
    var replies: [RedisReply] = []
    var isFaulty = false

    init(_ bytes: [UInt8], cuts: [Int]) {
        let reader = RedisReplyReader()
        var start = 0
        do throws(StoreFault) {
            for cut in cuts {
                if let fault = Self.feed(bytes, start..<cut, reader) { throw fault }
                while let reply = try reader.next() { replies.append(reply) }
                start = cut
            }
        } catch {
            isFaulty = true
        }
    }

    private static func feed(
        _ bytes: [UInt8], _ part: Range<Int>, _ reader: RedisReplyReader
    ) -> StoreFault? {
        unsafe bytes.withUnsafeBytes { all in
            do throws(StoreFault) {
                unsafe try reader.feed(UnsafeRawBufferPointer(rebasing: all[part]))
                return nil
            } catch {
                return error
            }
        }
    }
}

/// The same replies however the bytes are cut. (A fault may be found sooner in more pieces, never
/// with other replies before it.)
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    guard input.bytes.count <= RedisReplyReader.feedBytes else { return 0 }
    let whole = Reading(input.bytes, cuts: [input.bytes.count])
    check(Reading(input.bytes, cuts: input.cuts) == whole, "cuts change nothing")
    return 0
}

@main
struct FuzzRESP {
    static func main() { unsafe runFuzzer(oneInput) }
}
