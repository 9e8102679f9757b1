using System.Globalization;

namespace Mooring.Chaos.Clients;

/// <summary>What one session did and received, line by line, for whoever looks for the reason of what was lost or came twice. Any thread may write.</summary>
internal sealed class Journal
{
    /// <summary>More than a session does in a round, but for those that are flooded.</summary>
    private const int Kept = 5000;

    private readonly Lock _gate = new();
    private readonly Queue<string> _lines = new();

    public void Write(string line)
    {
        var text = $"{TimeProvider.System.GetUtcNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture)} {line}";
        lock (_gate)
        {
            _lines.Enqueue(text);
            if (_lines.Count > Kept)
            {
                _lines.Dequeue();
            }
        }
    }

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_gate)
            {
                return [.. _lines];
            }
        }
    }
}
