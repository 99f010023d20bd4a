// SPDX-License-Identifier: Apache-2.0
@main
struct Penstock {
    static func main() {}
}
