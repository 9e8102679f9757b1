using System.Text;
using System.Text.RegularExpressions;
using Mooring.Configuration;

namespace Mooring.Upstreams.Stdio;

/// <summary>
/// Carries a server's stderr to the log, line by line: lines have a greatest length, their number per time is limited,
/// terminal control is taken out, and values of the server's own secret variables are blotted out.
/// Made by <see cref="ServerProcess"/>; <see cref="PumpAsync"/> runs once, for as long as the stream.
/// </summary>
internal sealed partial class ErrorOutput(ServerConfig config, TimeProvider time, Action<string> write, Action<long> writeLeftOut)
{
    /// <summary>Bytes of one line that are kept.</summary>
    internal const int LongestLine = 4096;

    // Shorter values occur in ordinary words, and hiding them would tell more than it hides.
    private const int ShortestSecret = 6;

    private readonly LineLimit _limit = new(time);
    private readonly string[] _secrets =
        [.. config.Env.Where(v => SecretName().IsMatch(v.Key) && v.Value.Length >= ShortestSecret).Select(v => v.Value)];

    private readonly byte[] _line = new byte[LongestLine];
    private int _length;
    private long _beyond;
    private int _reportPending;

    /// <summary>Reads to the end, or until cancelled or the pipe breaks; either is the end of the process and nothing to report.</summary>
    public async Task PumpAsync(Stream stream, CancellationToken cancel)
    {
        var buffer = new byte[LongestLine];
        var report = time.CreateTimer(_ => Report(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await using (report.ConfigureAwait(false))
        {
            try
            {
                int count;
                while ((count = await stream.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
                {
                    Take(buffer.AsSpan(0, count), report);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
            {
                // What was read so far is told below.
            }

            if (_length > 0)
            {
                EndLine(report);
            }
        }

        Report();
    }

    private void Take(ReadOnlySpan<byte> bytes, ITimer report)
    {
        while (!bytes.IsEmpty)
        {
            var end = bytes.IndexOf((byte)'\n');
            var part = end < 0 ? bytes : bytes[..end];
            var kept = part[..Math.Min(part.Length, LongestLine - _length)];
            kept.CopyTo(_line.AsSpan(_length));
            _length += kept.Length;
            _beyond += part.Length - kept.Length;
            if (end < 0)
            {
                return;
            }

            EndLine(report);
            bytes = bytes[(end + 1)..];
        }
    }

    private void EndLine(ITimer report)
    {
        var (length, beyond) = (_length, _beyond);
        _length = 0;
        _beyond = 0;
        if (!_limit.TryPass(out var leftOut))
        {
            if (Interlocked.Exchange(ref _reportPending, 1) == 0)
            {
                report.Change(LineLimit.Window, Timeout.InfiniteTimeSpan);
            }

            return;
        }

        if (leftOut > 0)
        {
            writeLeftOut(leftOut);
        }

        var text = Clean(Encoding.UTF8.GetString(_line.AsSpan(0, length)));
        if (text.Length > 0)
        {
            write(beyond > 0 ? $"{text} … ({beyond} bytes more)" : text);
        }
    }

    private void Report()
    {
        Volatile.Write(ref _reportPending, 0);
        if (_limit.TakeLeftOut() is > 0 and var leftOut)
        {
            writeLeftOut(leftOut);
        }
    }

    private string Clean(string text)
    {
        text = WithoutControl(text).TrimEnd();
        foreach (var secret in _secrets)
        {
            text = text.Replace(secret, "***", StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>The text without what a terminal would take for an instruction.</summary>
    internal static string WithoutControl(string text) => TerminalControl().Replace(text, "");

    // Colours and cursor moves (ESC [ … letter), titles (ESC ] … BEL), and every other control character but the tab: a
    // server must not be able to redraw the terminal in which someone reads the log.
    [GeneratedRegex(@"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|[\x00-\x08\x0a-\x1f\x7f-\x9f]", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex TerminalControl();

    [GeneratedRegex("KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|DSN|CONNECTION", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex SecretName();
}
