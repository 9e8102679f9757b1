using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Mooring.EndToEndTests.Secrets;

/// <summary>Secrets of one test, each with the outputs in which it may stand, and the outputs in which they are looked for.</summary>
internal sealed class Canaries
{
    private readonly List<(string What, string Value, string[] May)> _all = [];
    private readonly List<(string Where, byte[] Bytes)> _outputs = [];

    public int Count => _all.Count;

    public IEnumerable<string> Outputs => _outputs.Select(output => output.Where);

    /// <summary>Makes a secret of a kind that nobody else would write.</summary>
    /// <param name="what">What it is, for whoever reads that it leaked.</param>
    /// <param name="may">Beginnings of the names of outputs in which it may stand; none: nowhere.</param>
    public string Plant(string what, params string[] may) => Add(what, "cnry" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(14)), may);

    /// <summary>A secret that somebody else made.</summary>
    public string Add(string what, string value, params string[] may)
    {
        if (value.Length < 12)
        {
            throw new ArgumentException($"{what} is too short to be told from other text.", nameof(value));
        }

        _all.Add((what, value, may));
        return value;
    }

    public void Saw(string where, string text) => Saw(where, Encoding.UTF8.GetBytes(text));

    public void Saw(string where, byte[] bytes) => _outputs.Add((where, bytes));

    /// <summary>Every file below a folder: what a kind of store, a log or a trail of the gateway's keeps there is found by being there.</summary>
    public void SawFiles(string where, string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            if (Path.GetFileName(file) == "mooring.lock" && IsLocked(file))
            {
                continue;
            }

            // The program still has some of them open.
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var copy = new MemoryStream();
            stream.CopyTo(copy);
            Saw($"{where} {Path.GetRelativePath(folder, file)}", copy.ToArray());
        }
    }

    /// <summary>What stands where it may not, one line each.</summary>
    public List<string> Leaks()
    {
        var leaks = new List<string>();
        foreach (var (what, value, may) in _all)
        {
            var forms = FormsOf(value);
            foreach (var (where, bytes) in _outputs.Where(output => !Array.Exists(may, output.Where.StartsWith)))
            {
                foreach (var (form, looked) in forms)
                {
                    if (bytes.AsSpan().IndexOf(looked) is >= 0 and var at)
                    {
                        leaks.Add($"{what} ({form}) in {where}: …{Around(bytes, at, looked.Length)}…");
                        break;
                    }
                }
            }
        }

        return leaks;
    }

    /// <summary>As it is, and as those write it who would hide it from a search without meaning to.</summary>
    private static List<(string Form, byte[] Bytes)> FormsOf(string value)
    {
        var plain = Encoding.UTF8.GetBytes(value);
        List<(string, byte[])> forms =
        [
            ("plain", plain), ("UTF-16", Encoding.Unicode.GetBytes(value)), ("hex", Ascii(Convert.ToHexStringLower(plain))), ("HEX", Ascii(Convert.ToHexString(plain))),
            ("escaped for addresses", Ascii(Uri.EscapeDataString(value))), ("escaped for JSON", JsonEncodedText.Encode(value).EncodedUtf8Bytes.ToArray()),
        ];
        for (var shift = 0; shift < 3; shift++)
        {
            // Whatever stands before it; the letters at both ends depend on the neighbours.
            var text = Convert.ToBase64String([.. new byte[shift], .. plain])[(shift == 0 ? 0 : 4)..].TrimEnd('=');
            var inner = text[..^2];
            forms.Add(($"base64, {shift}", Ascii(inner)));
            forms.Add(($"base64url, {shift}", Ascii(inner.Replace('+', '-').Replace('/', '_'))));
        }

        return forms;
    }

    /// <summary>Nobody can read it while the program runs; afterwards it is looked at as any.</summary>
    private static bool IsLocked(string file)
    {
        try
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    private static string Around(byte[] bytes, int at, int length)
    {
        var from = Math.Max(0, at - 120);
        var text = Encoding.UTF8.GetString(bytes, from, Math.Min(bytes.Length, at + length + 60) - from);
        return string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c));
    }
}
