using System.Text;

namespace Mooring.Replicas;

/// <summary>What one replica writes to another.</summary>
/// <param name="Session">The session it is about.</param>
/// <param name="Subject">What exactly; one line, each kind of letter has its own use for it.</param>
/// <param name="Body">Raw bytes, mostly one JSON-RPC message.</param>
internal readonly record struct Letter(string Session, string Subject, ReadOnlyMemory<byte> Body)
{
    public byte[] ToBytes() => [.. Encoding.UTF8.GetBytes($"{Session}\n{Subject}\n"), .. Body.Span];

    /// <summary>False for what is not a letter: a later release may write other things.</summary>
    public static bool TryParse(ReadOnlyMemory<byte> bytes, out Letter letter)
    {
        letter = default;
        var session = bytes.Span.IndexOf((byte)'\n');
        if (session < 0)
        {
            return false;
        }

        var subject = bytes.Span[(session + 1)..].IndexOf((byte)'\n');
        if (subject < 0)
        {
            return false;
        }

        letter = new Letter(
            Encoding.UTF8.GetString(bytes.Span[..session]),
            Encoding.UTF8.GetString(bytes.Span.Slice(session + 1, subject)),
            bytes[(session + subject + 2)..]);
        return true;
    }
}

/// <summary>What a letter is known by, whoever has it.</summary>
/// <param name="Value">The name.</param>
/// <param name="MayBeReadBefore">Whether it was not written to this replica: one that had it before may have done what it says.</param>
internal readonly record struct LetterName(string Value, bool MayBeReadBefore);
