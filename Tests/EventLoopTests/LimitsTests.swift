// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

@Suite struct LimitsTests {
    @Test func theProcessorsAreAtLeastOneAndNoMoreThanThereAre() {
        #expect(Limits.processors >= 1)
        #expect(Limits.processors <= max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }

    @Test(arguments: [
        ("max 100000\n", nil), ("100000 100000\n", 1), ("150000 100000", 2), ("1 100000\n", 1),
        ("400000 100000\n", 4), ("0 100000\n", nil), ("100000 0", nil), ("", nil), ("x y", nil),
        ("100000", nil),
    ])
    func aQuotaOfTimeIsRoundedUpToProcessors(quota: String, processors: Int?) {
        #expect(Limits.processors(inQuota: quota) == processors)
    }

    @Test(arguments: [
        ("0::/\n", ""), ("0::/a/b.slice\n", "/a/b.slice"), ("", nil), ("1:cpu:/x\n", nil),
        ("12:cpu,cpuacct:/x\n0::/y\n", "/y"), ("0::", nil),
    ])
    func theUnifiedHierarchyIsTheLineWithoutControllers(groups: String, path: Substring?) {
        #expect(Limits.controlGroup(in: groups) == path)
    }

    @Test func seedsDiffer() {
        #expect(Set((0..<100).map { _ in randomSeed() }).count == 100)
    }

    @Test func faultsSpeakTheWordsOfTheSystem() {
        #expect(SystemFault.connectRefused.description == "Connection refused")
        #expect(SystemFault.tooManyFiles.description == "Too many open files")
        #expect(SystemFault.other(errno: EISDIR).description == "Is a directory")
        #expect(!SystemFault.other(errno: 99_999).description.isEmpty)
    }
}
