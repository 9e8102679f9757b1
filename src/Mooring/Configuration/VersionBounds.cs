using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Mooring.Configuration;

/// <summary>Bounds of a version as people write them: <c>&lt;2</c>, <c>&gt;=1.2.3</c>, or both with a space between. A version is compared by its numbers; what follows them does not count.</summary>
internal sealed class VersionBounds
{
    public const string Expected = "bounds of a version such as <2, >=1.2 or >=1.2 <2";

    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    private static readonly string[] Operators = [">=", "<=", ">", "<"];

    private readonly List<(string Operator, int[] Version)> _bounds = [];

    private VersionBounds()
    {
    }

    public static bool TryParse(string text, [NotNullWhen(true)] out VersionBounds? bounds)
    {
        var all = new VersionBounds();
        foreach (var part in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Array.Find(Operators, part.StartsWith) is not { } operation || NumbersOf(part[operation.Length..], exactly: true) is not { } version)
            {
                bounds = null;
                return false;
            }

            all._bounds.Add((operation, version));
        }

        bounds = all._bounds.Count > 0 ? all : null;
        return bounds is not null;
    }

    /// <summary>False also for a version that has no numbers.</summary>
    public bool Hold(string? version) => NumbersOf(version ?? "", exactly: false) is { } numbers && _bounds.TrueForAll(bound =>
    {
        var order = Compare(numbers, bound.Version);
        return bound.Operator switch { ">=" => order >= 0, "<=" => order <= 0, ">" => order > 0, _ => order < 0 };
    });

    private static int Compare(int[] one, int[] other)
    {
        for (var i = 0; i < Math.Max(one.Length, other.Length); i++)
        {
            var order = (i < one.Length ? one[i] : 0).CompareTo(i < other.Length ? other[i] : 0);
            if (order != 0)
            {
                return order;
            }
        }

        return 0;
    }

    private static int[]? NumbersOf(string text, bool exactly)
    {
        var end = text.AsSpan().IndexOfAnyExcept(NumberCharacters);
        if (end >= 0 && exactly)
        {
            return null;
        }

        var numbers = new List<int>();
        foreach (var part in (end < 0 ? text : text[..end]).TrimEnd('.').Split('.'))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                return null;
            }

            numbers.Add(number);
        }

        return [.. numbers];
    }
}
