using System.Globalization;
using Mooring.Protocol;

namespace Mooring.Calls;

/// <summary>
/// Progress that the gateway makes up for one call while its server reports none, for clients that give up a request of which they hear nothing for
/// a while (<c>calls.progressEvery</c>). Its call's alone; only for calls whose client gave a progress token.
/// </summary>
/// <remarks>
/// The values must rise with each notification, and the server's own come after them: they are so small that hardly any server's first is not above, and one that is
/// not is dropped. There is no total, so nobody can take them for a part of the work. The first word of the server ends them for good. Not a sign of the server:
/// the call's deadline runs on.
/// </remarks>
internal sealed class MadeProgress(byte[] token, long started, TimeProvider time)
{
    private const decimal Step = 0.000001m;

    private readonly Lock _gate = new();
    private long _last = started;
    private int _made;
    private bool _isOver;

    /// <summary>Makes up the next one where that is due.</summary>
    /// <param name="now">A timestamp.</param>
    /// <param name="every">How often; zero: never.</param>
    /// <param name="reply">Where it goes. It is shown to a client that listens just now, and kept nowhere.</param>
    public void Tick(long now, TimeSpan every, Reply reply)
    {
        lock (_gate)
        {
            if (_isOver || every <= TimeSpan.Zero || time.GetElapsedTime(_last, now) < every)
            {
                return;
            }

            _last = now;
            if (reply.Show(Line(_made + 1)))
            {
                _made++;
            }
        }
    }

    /// <summary>The server reports itself.</summary>
    /// <returns>False where its value is not above what the client was told, who would take that for a fault.</returns>
    public bool Takes(Frame notification)
    {
        int made;
        lock (_gate)
        {
            _isOver = true;
            made = _made;
        }

        if (made == 0)
        {
            return true;
        }

        var parameters = notification.Span(notification.Envelope.Params);
        var at = JsonFields.Find(parameters, "progress"u8);
        return !at.IsPresent || !double.TryParse(parameters.Slice(at.Start, at.Length), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) || value > (double)(made * Step);
    }

    /// <summary>The call is answered, or about to be: nothing follows.</summary>
    public void End()
    {
        lock (_gate)
        {
            _isOver = true;
        }
    }

    private byte[] Line(int number) => JsonRpc.Notification("notifications/progress",
        [.. "{\"progressToken\":"u8, .. token, .. ",\"progress\":"u8, .. System.Text.Encoding.ASCII.GetBytes((number * Step).ToString("0.000000", CultureInfo.InvariantCulture)), (byte)'}']);
}
