namespace Mooring.Configuration;

/// <summary>A name in which each <c>*</c> stands for any text, also none. Case counts.</summary>
internal sealed class NamePattern(string text)
{
    private readonly string[] _parts = text.Split('*');

    public bool Matches(string name)
    {
        if (_parts.Length == 1)
        {
            return name == text;
        }

        if (!name.StartsWith(_parts[0], StringComparison.Ordinal))
        {
            return false;
        }

        // Each part as early as it can be: what is found later could be found then too.
        var at = _parts[0].Length;
        for (var i = 1; i < _parts.Length - 1; i++)
        {
            var found = name.IndexOf(_parts[i], at, StringComparison.Ordinal);
            if (found < 0)
            {
                return false;
            }

            at = found + _parts[i].Length;
        }

        return name.Length - at >= _parts[^1].Length && name.EndsWith(_parts[^1], StringComparison.Ordinal);
    }
}
