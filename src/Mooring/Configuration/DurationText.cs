using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mooring.Configuration;

/// <summary>Durations as people write them: <c>15s</c>, <c>500ms</c>, <c>1h30m</c>, <c>2d</c>, <c>1.5s</c>. A number needs its unit, except 0.</summary>
internal static class DurationText
{
    /// <summary>For the JSON schema.</summary>
    public const string Pattern = @"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$";

    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    private static readonly (string Name, long Ticks)[] Units =
    [
        ("d", TimeSpan.TicksPerDay),
        ("h", TimeSpan.TicksPerHour),
        ("m", TimeSpan.TicksPerMinute),
        ("s", TimeSpan.TicksPerSecond),
        ("ms", TimeSpan.TicksPerMillisecond),
    ];

    public static bool TryParse(string text, out TimeSpan value)
    {
        value = TimeSpan.Zero;
        var rest = text.AsSpan().Trim();
        if (rest is "0")
        {
            return true;
        }

        decimal ticks = 0;
        if (rest.IsEmpty)
        {
            return false;
        }

        while (!rest.IsEmpty)
        {
            var digits = rest.IndexOfAnyExcept(NumberCharacters);
            if (digits <= 0 || !decimal.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            rest = rest[digits..];
            var letters = rest.IndexOfAny(NumberCharacters);
            var unit = letters < 0 ? rest : rest[..letters];
            var factor = 0L;
            foreach (var (name, unitTicks) in Units)
            {
                factor = unit.SequenceEqual(name) ? unitTicks : factor;
            }

            // A century bounds the sum far below what decimal and TimeSpan hold.
            if (factor == 0 || number > 36_525m * TimeSpan.TicksPerDay / factor)
            {
                return false;
            }

            ticks += number * factor;
            rest = rest[unit.Length..];
        }

        if (ticks > long.MaxValue)
        {
            return false;
        }

        value = new TimeSpan((long)ticks);
        return true;
    }

    /// <summary>The shortest text that <see cref="TryParse"/> reads back as the same value. Not for negative ones.</summary>
    public static string Format(TimeSpan value)
    {
        if (value == TimeSpan.Zero)
        {
            return "0s";
        }

        var text = new StringBuilder();
        var left = value.Ticks;
        foreach (var (name, ticks) in Units)
        {
            if (name == "ms" && left > 0)
            {
                text.Append(((decimal)left / ticks).ToString("0.####", CultureInfo.InvariantCulture)).Append(name);
            }
            else if (left >= ticks)
            {
                text.Append(left / ticks).Append(name);
                left %= ticks;
            }
        }

        return text.ToString();
    }
}
