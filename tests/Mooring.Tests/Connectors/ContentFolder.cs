using Microsoft.Extensions.Logging;
using Mooring.Connectors.Docs;

namespace Mooring.Tests.Connectors;

/// <summary>A content folder of one test, with a neighbour folder that must never be read.</summary>
internal sealed class ContentFolder : IDisposable
{
    private readonly string _top = Directory.CreateTempSubdirectory("mooring-docs-").FullName;

    // Stamps tell files apart by time and size; a test writes faster than the file system's clock may tick.
    private DateTime _modified = new(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    public ContentFolder() => Directory.CreateDirectory(Path);

    public string Path => System.IO.Path.Combine(_top, "content");

    public string Outside => System.IO.Path.Combine(_top, "outside");

    public RecordedLog Log { get; } = new();

    public ContentFolder Write(string relative, string text) => WriteBytes(relative, System.Text.Encoding.UTF8.GetBytes(text));

    public ContentFolder WriteBytes(string relative, byte[] bytes)
    {
        var full = System.IO.Path.Combine(Path, relative);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(full)!);
        File.WriteAllBytes(full, bytes);
        _modified = _modified.AddSeconds(1);
        File.SetLastWriteTimeUtc(full, _modified);
        return this;
    }

    public ContentFolder WriteOutside(string relative, string text)
    {
        Directory.CreateDirectory(Outside);
        File.WriteAllText(System.IO.Path.Combine(Outside, relative), text);
        return this;
    }

    public ContentFolder Delete(string relative)
    {
        File.Delete(System.IO.Path.Combine(Path, relative));
        return this;
    }

    public void Link(string relative, string target)
    {
        var full = System.IO.Path.Combine(Path, relative);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(full)!);
        File.CreateSymbolicLink(full, target);
    }

    public DocsSettings Settings => new() { Path = Path };

    /// <summary>Starts nothing: the test scans.</summary>
    public DocsIndex Index(DocsSettings? settings = null, TimeProvider? time = null) => new(settings ?? Settings, time ?? new FakeClock(), Log);

    /// <summary>Reads one page as an index would.</summary>
    public ReadPage Read(string relative, long maxFileSize = 1024 * 1024)
    {
        var root = ContentRoot.Open(Path);
        return PageReader.Read(root, relative, root.Stamp(relative), 1, maxFileSize);
    }

    public void Dispose() => Directory.Delete(_top, recursive: true);
}

/// <summary>Keeps what was logged, by event name.</summary>
internal sealed class RecordedLog : ILogger
{
    private readonly Lock _gate = new();
    private readonly List<(string? Event, string Message)> _entries = [];

    public IReadOnlyList<string> Of(string eventName)
    {
        lock (_gate)
        {
            return [.. _entries.Where(entry => entry.Event == eventName).Select(entry => entry.Message)];
        }
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_gate)
        {
            _entries.Add((eventId.Name, formatter(state, exception)));
        }
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
}
