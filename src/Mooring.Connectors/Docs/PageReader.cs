using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Connectors.Docs;

/// <summary>Turns one file into a page. Nothing a file may hold makes this throw; it becomes <see cref="ReadPage.Problem"/>.</summary>
internal static class PageReader
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly Dictionary<string, FileStamp> NoIncludes = [];

    public static ReadPage Read(ContentRoot root, string filePath, FileStamp stamp, int id, long maxFileSize)
    {
        try
        {
            var source = ReadSource(stamp, maxFileSize);
            var (values, raw) = FrontMatter.Split(source);
            var includes = IncludeResolver.Resolve(root, filePath, raw, maxFileSize);
            var sections = PageText.Read(includes.Body, filePath.EndsWith(".mdx", StringComparison.OrdinalIgnoreCase));
            var page = new Page
            {
                Id = id,
                FilePath = filePath,
                WantedRoute = FrontMatter.RouteOf(values) ?? Routes.FromPath(filePath),
                Title = FrontMatter.TextOf(values, "title") ?? FirstTitle(sections) ?? NameOf(filePath),
                Description = FrontMatter.TextOf(values, "description") ?? "",
                FrontMatter = Freeze(values),
                Body = includes.Body,
                Sections = [.. sections.Select(section => new SectionHead(section.Heading, section.Anchor))],
            };
            return new ReadPage(page, sections, includes.Files, includes.Warnings, null);
        }
        catch (FormatException error)
        {
            return Broken(error.Message);
        }
        catch (DecoderFallbackException)
        {
            return Broken("it is not valid UTF-8");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Broken($"it cannot be read: {error.Message}");
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // A bug, ours or of the YAML package: one odd file must not keep all others from being found.
            return Broken($"it could not be understood ({error.GetType().Name}: {error.Message})");
        }
    }

    /// <summary>Reads a whole file as UTF-8, with any line ends turned into '\n'.</summary>
    /// <exception cref="FormatException">It is larger than the limit.</exception>
    public static string ReadSource(FileStamp stamp, long maxFileSize)
    {
        if (stamp.Size == 0)
        {
            // Also what a pipe or device says of its size: these are never opened, since opening one may wait for ever.
            return "";
        }

        if (stamp.Size > maxFileSize)
        {
            throw new FormatException($"it has {stamp.Size} bytes, more than maxFileSize ({maxFileSize})");
        }

        using var file = File.OpenHandle(stamp.RealPath!, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        // One byte more than there should be, to see a file that grew meanwhile; its new stamp has it read again.
        var buffer = new byte[stamp.Size + 1];
        var length = 0;
        while (length < buffer.Length && RandomAccess.Read(file, buffer.AsSpan(length), length) is > 0 and var read)
        {
            length += read;
        }

        var bytes = buffer.AsSpan(0, (int)Math.Min(length, stamp.Size));
        return StrictUtf8.GetString(bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[3..] : bytes).ReplaceLineEndings("\n");
    }

    private static ReadPage Broken(string problem) => new(null, [], NoIncludes, [], problem);

    private static string? FirstTitle(IReadOnlyList<PageSection> sections) =>
        sections.FirstOrDefault(section => section.Level == 1)?.Heading is { Length: > 0 } heading ? heading : null;

    private static string NameOf(string filePath)
    {
        var name = Path.GetFileNameWithoutExtension(filePath);
        return string.Equals(name, "index", StringComparison.OrdinalIgnoreCase) && Path.GetDirectoryName(filePath) is { Length: > 0 } folder
            ? Path.GetFileName(folder)
            : name;
    }

    /// <summary>A <see cref="JsonObject"/> is not safe to read from several threads; this is.</summary>
    private static JsonElement Freeze(JsonObject values) => JsonDocument.Parse(values.ToJsonString()).RootElement.Clone();
}
