// SPDX-License-Identifier: Apache-2.0

public import Policy

/// A configuration without a mistake.
public struct LoadedConfiguration: Sendable {
    /// What a reload cannot change.
    public let fixed: FixedPolicy
    /// What a reload replaces.
    public let policy: Policy
    /// YAML with every default filled in, secrets and key hashes masked.
    public let effective: String
    /// The same as one line of JSON.
    public let effectiveJSON: String
    let root: Section
    let file: String

    /// A mistake that only shows when what the file names is looked at, with the place of the key.
    /// `path` has indices: `listeners[0].tls.key`.
    public func mistake(_ path: String, _ message: String) -> Mistake {
        let place = root.place(of: path)
        return Mistake(
            file: file, line: place.line, column: place.column, message: "\(path): \(message)")
    }
}

/// Reads configuration files.
public enum ConfigurationFile {
    /// Bytes of a file. A larger one is refused before it is looked at.
    public static let maxBytes = 4 << 20

    /// Reads the file at `path`, which mistakes are reported with, as it is written.
    ///
    /// - Parameters:
    ///   - path: Absolute, or relative to the working folder.
    ///   - environment: Where `${NAME}` is taken from.
    ///   - previous: On a reload the policy to replace: names keep their places in its tables.
    /// - Throws: Every mistake that was found.
    public static func load(
        path: String, environment: (String) -> String?, previous: Policy?
    ) throws(ConfigurationFault) -> LoadedConfiguration {
        let bytes: [UInt8]
        do throws(FileReader.Fault) {
            bytes = try FileReader.bytes(of: path, limit: maxBytes)
        } catch {
            var mistakes = MistakeLog(file: path)
            mistakes.add("the file \(error.reason)", at: .start)
            throw mistakes.fault
        }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        let source = Source(bytes: bytes, name: path, folder: folder)
        return try load(source, environment, previous)
    }

    /// The same for a text, as if it stood in the file `name` in `folder`.
    public static func parse(
        text: String, name: String, folder: String, environment: (String) -> String?,
        previous: Policy?
    ) throws(ConfigurationFault) -> LoadedConfiguration {
        let source = Source(bytes: Array(text.utf8), name: name, folder: folder)
        return try load(source, environment, previous)
    }

    private struct Source {
        let bytes: [UInt8]
        let name: String
        let folder: String
    }

    private static func load(
        _ source: Source, _ environment: (String) -> String?, _ previous: Policy?
    ) throws(ConfigurationFault) -> LoadedConfiguration {
        var mistakes = MistakeLog(file: source.name)
        guard source.bytes.count <= maxBytes else {
            mistakes.add("the file is larger than \(maxBytes) bytes", at: .start)
            throw mistakes.fault
        }
        guard let tree = Composer.compose(source.bytes, &mistakes) else { throw mistakes.fault }
        let root = try check(tree, source, environment, mistakes)
        let tokenizers = TokenizerFiles(
            root, folder: source.folder, previous: previous, &mistakes)
        guard mistakes.isEmpty else { throw mistakes.fault }
        let builder = PolicyBuilder(
            root, tokenizers, folder: source.folder, previous: previous)
        if let overflow = builder.overflow {
            mistakes.add(overflow, at: root.place)
            throw mistakes.fault
        }
        return LoadedConfiguration(
            fixed: FixedBuilder(root: root, folder: source.folder).build(),
            policy: builder.build(), effective: EffectiveWriter.yaml(root),
            effectiveJSON: EffectiveWriter.json(root), root: root, file: source.name)
    }

    /// The checked tree, without the settings of the store that is not used.
    private static func check(
        _ tree: Tree, _ source: Source, _ environment: (String) -> String?,
        _ mistakes: MistakeLog
    ) throws(ConfigurationFault) -> Section {
        var found = mistakes
        var root = withoutActuallyEscaping(environment) { environment in
            var checker = Checker(
                environment: environment, folder: source.folder, mistakes: found)
            let root = checker.check(tree)
            found = checker.mistakes
            return root
        }
        var cross = CrossCheck(root, found)
        cross.check()
        guard cross.mistakes.isEmpty else { throw cross.mistakes.fault }
        if let store = root["store"], case .section(var section) = store.value {
            section[section.text("kind") == "redis" ? "memory" : "redis"] = nil
            root["store"] = Setting(place: store.place, value: .section(section))
        }
        return root
    }
}
