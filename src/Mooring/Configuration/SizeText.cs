using System.Buffers;
using System.Globalization;

namespace Mooring.Configuration;

/// <summary>
/// Sizes as people write them: <c>4MB</c>, <c>256kB</c>, <c>1.5GB</c>, or plain bytes. 1 kB is 1,024 bytes, as
/// everywhere else where memory and buffers are set; <c>KiB</c>, <c>MiB</c> and <c>GiB</c> mean the same.
/// </summary>
internal static class SizeText
{
    /// <summary>For the JSON schema.</summary>
    public const string Pattern = @"^[0-9]+(\.[0-9]+)?\s*([kKmMgG]i?)?[bB]?$";

    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    private static readonly (string Name, long Bytes)[] Units =
        [("GB", 1L << 30), ("MB", 1L << 20), ("kB", 1L << 10), ("B", 1)];

    public static bool TryParse(string text, out long bytes)
    {
        bytes = 0;
        var rest = text.AsSpan().Trim();
        var digits = rest.IndexOfAnyExcept(NumberCharacters);
        var numberPart = digits < 0 ? rest : rest[..digits];
        if (!decimal.TryParse(numberPart, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        var unit = digits < 0 ? "" : rest[digits..].Trim().ToString().ToUpperInvariant();
        long factor = unit switch
        {
            "" or "B" => 1,
            "K" or "KB" or "KIB" => 1L << 10,
            "M" or "MB" or "MIB" => 1L << 20,
            "G" or "GB" or "GIB" => 1L << 30,
            _ => 0,
        };
        if (factor == 0 || number > long.MaxValue / factor || number * factor % 1 != 0)
        {
            return false;
        }

        bytes = (long)(number * factor);
        return true;
    }

    /// <summary>In the largest unit that leaves no fraction.</summary>
    public static string Format(long bytes)
    {
        foreach (var (name, factor) in Units)
        {
            if (bytes != 0 && bytes % factor == 0)
            {
                return $"{bytes / factor}{name}";
            }
        }

        return "0B";
    }
}
