using System.Security.Cryptography;

namespace Mooring.Streams;

/// <summary>A cursor into one stream of a session, on the wire <c>{stream}-{sequence}</c>. The first letter of the stream tells its kind, so that a cursor outlives the stream's row.</summary>
internal readonly record struct EventId(string Stream, long Sequence)
{
    /// <summary>No stream gets here: a million events a second would take it 285 years. What a client names beyond would overflow in time.</summary>
    public const long LastSequence = 1L << 53;

    private const string Alphabet = "0123456789abcdefghijklmnopqrstuv";

    /// <summary>Whether the stream is a standalone GET stream, as opposed to the answer of a POST.</summary>
    public bool IsGet => Stream[0] == 'g';

    /// <summary>A new stream name: 60 random bits, unique without asking anyone.</summary>
    public static string NewStream(bool get) => (get ? "g" : "p") + RandomNumberGenerator.GetString(Alphabet, 12);

    /// <summary>The name of a record of a call whose client cannot come back for an answer: no cursor names it.</summary>
    public static string NewRecord() => "c" + RandomNumberGenerator.GetString(Alphabet, 12);

    /// <summary>Whether a stream's name is one of <see cref="NewRecord"/>.</summary>
    public static bool IsRecord(string stream) => stream[0] == 'c';

    public static bool TryParse(string? text, out EventId id)
    {
        id = default;
        var dash = text?.LastIndexOf('-') ?? -1;
        if (dash is < 2 or > 40 || text![0] is not ('g' or 'p' or 's')
            || !long.TryParse(text.AsSpan(dash + 1), System.Globalization.NumberStyles.None, provider: null, out var sequence))
        {
            return false;
        }

        id = new EventId(text[..dash], sequence);
        return true;
    }

    public override string ToString() => $"{Stream}-{Sequence}";
}
