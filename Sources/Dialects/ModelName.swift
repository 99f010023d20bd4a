// SPDX-License-Identifier: Apache-2.0

public import Wire

/// The model that a body names, found without a look at anything else: nil where there is none, or
/// where the body is no JSON object. To be believed only once the body was inspected.
public func modelName(in body: RawSpan) -> JSONString? {
    var scanner = JSONScanner()
    guard let first = try? scanner.next(in: body), first.isObject else { return nil }
    while case .key(let name)? = try? scanner.next(in: body) {
        guard name.equals(Member.model.name, in: body) else {
            guard (try? scanner.passOverValue(in: body)) != nil else { return nil }
            continue
        }
        guard case .string(let value)? = try? scanner.next(in: body) else { return nil }
        return value
    }
    return nil
}
