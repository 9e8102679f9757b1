using System.Text;

namespace Mooring.Tests.Protocol;

/// <summary>Messages for the reader to be tried with: good ones in odd spellings, nearly good ones, and noise.</summary>
internal sealed class RandomMessages(Random random)
{
    private static readonly string[] Keys =
    [
        "jsonrpc", "id", "method", "params", "result", "error", "name", "uri", "ref", "_meta", "progressToken", "requestId", "taskId", "cursor",
        "level", "protocolVersion", "arguments", "code", "message", "data", "x", "", "ü", "io.modelcontextprotocol/protocolVersion", "idd", "i",
    ];

    private static readonly string[] Values =
    [
        "1", "0", "-7", "1.5", "1e3", "123456789012345678901234567890", "9007199254740993", "true", "false", "null", "\"\"", "\"a\"", "\"1\"",
        "\"2.0\"", "\"tools/call\"", "\"tools\\/call\"", "\"\\u0074ools/call\"", "\"ping\"", "\"a\\nb\"", "\"\\ud83d\\ude00\"", "\"😀\"", "\"\\ud800\"",
        "\"ping\\udc00\"", "{}", "[]", "[1,[2,{\"id\":3}]]", "{\"id\":1}", "{\"code\":-1,\"message\":\"m\"}", "{\"code\":1.5,\"message\":\"m\"}",
        "{\"progressToken\":5}", "{\"progressToken\":\"p\",\"progress\\u0054oken\":1}", "{ }", "\"\\\"\\\\\\b\\u0000\"", "1E400", "-0", "1.0",
    ];

    private static readonly string[] Good =
    [
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\",\"arguments\":{\"id\":2},\"_meta\":{\"progressToken\":\"p\"}}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":7,\"progress\":0.5}}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"a-1\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"ü😀\"}]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"no\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32000,\"message\":\"no\",\"data\":{\"deep\":[[[]]]}}}",
        "{\"params\":{\"uri\":\"a:b\",\"_meta\":{\"x\":1}},\"method\":\"resources/read\",\"id\":-5,\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{}}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"q\",\"reason\":\"r\"}}",
    ];

    private static readonly string[] Fragments =
        ["{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "//", "/**/", "NaN", "\"id\":1,", "\"\\u0069d\":2,", "\0", "\n", "\uFEFF", "1", "-", "e", "."];

    public byte[] Next() => random.Next(10) switch
    {
        0 => Noise(),
        1 => Mutate(Encoding.UTF8.GetBytes(Pick(Good))),
        2 => Mutate(Encoding.UTF8.GetBytes(Spell(0))),
        3 => Encoding.UTF8.GetBytes(Deep()),
        4 => Encoding.UTF8.GetBytes(Space() + Pick(Good) + Space()),
        _ => Encoding.UTF8.GetBytes(Spell(0)),
    };

    /// <summary>A message that mostly is one: what must be there is there, in any order and spelling, among other things.</summary>
    private string Spell(int extra)
    {
        var parts = new List<string> { Pair("jsonrpc", random.Next(30) == 0 ? Pick(Values) : "\"2.0\"") };
        var kind = random.Next(8);
        if (kind != 0)
        {
            parts.Add(Pair("id", random.Next(4) == 0 ? Pick(Values) : random.Next(2) == 0 ? random.Next().ToString() : "\"" + new string('i', random.Next(40) == 0 ? random.Next(1015, 1030) : 3) + "\""));
        }

        switch (kind % 4)
        {
            case 3:
                parts.Add(Pair("result", random.Next(6) == 0 ? Pick(Values) : "{" + Some() + "}"));
                break;
            case 2:
                parts.Add(Pair("error", random.Next(3) == 0 ? Pick(Values) : "{" + Pair("message", "\"m\"") + "," + Pair("code", Pick(Values)) + "}"));
                break;
            default:
                parts.Add(Pair("method", random.Next(6) == 0 ? Pick(Values) : "\"tools/call\""));
                parts.Add(Pair("params", random.Next(8) == 0 ? Pick(Values) : Params()));
                break;
        }

        while (random.Next(3 + extra) == 0)
        {
            parts.Add(Pair(Pick(Keys), Pick(Values)));
        }

        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(parts));
        return Space() + "{" + Space() + string.Join(Space() + "," + Space(), parts) + Space() + "}" + Space();
    }

    private string Params()
    {
        var parts = new List<string>();
        var pool = Keys.AsSpan(6, 11).ToArray();
        random.Shuffle(pool);
        for (var i = random.Next(6); i > 0; i--)
        {
            parts.Add(pool[i] == "_meta" ? Pair("_meta", "{" + Some() + "}") : Pair(pool[i], Pick(Values)));
        }

        if (random.Next(10) == 0)
        {
            parts.Add(Pair(Pick(Keys), Pick(Values)));
        }

        return "{" + Space() + string.Join(",", parts) + "}";
    }

    private string Some() => string.Join(",", Enumerable.Range(0, random.Next(3)).Select(_ => Pair(random.Next(2) == 0 ? "progressToken" : Pick(Keys), Pick(Values))));

    private string Pair(string key, string value) => "\"" + Escape(key) + "\"" + Space() + ":" + Space() + value;

    private string Escape(string key)
    {
        if (random.Next(12) != 0)
        {
            return key;
        }

        var text = new StringBuilder();
        foreach (var c in key)
        {
            text.Append(random.Next(3) == 0 ? $"\\u{(int)c:x4}" : c.ToString());
        }

        return text + (random.Next(8) == 0 ? "\\ud8ff" : "");
    }

    private string Deep()
    {
        var levels = random.Next(55, 75);
        var objects = random.Next(2) == 0;
        var opening = objects ? "{\"a\":" : "[";
        var closing = objects ? "}" : "]";
        var deep = string.Concat(Enumerable.Repeat(opening, levels)) + "1" + string.Concat(Enumerable.Repeat(closing, levels));
        return "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"x\":" + deep + "}}";
    }

    private byte[] Noise()
    {
        var bytes = new byte[random.Next(60)];
        random.NextBytes(bytes);
        return bytes;
    }

    private byte[] Mutate(byte[] bytes)
    {
        var list = bytes.ToList();
        for (var i = random.Next(1, 4); i > 0 && list.Count > 0; i--)
        {
            var at = random.Next(list.Count);
            switch (random.Next(5))
            {
                case 0:
                    list[at] = (byte)random.Next(256);
                    break;
                case 1:
                    list.RemoveAt(at);
                    break;
                case 2:
                    list.RemoveRange(at, list.Count - at);
                    break;
                case 3:
                    list.InsertRange(at, Encoding.UTF8.GetBytes(Pick(Fragments)));
                    break;
                default:
                    list.InsertRange(at, list.GetRange(at, Math.Min(random.Next(12), list.Count - at)));
                    break;
            }
        }

        return [.. list];
    }

    private string Space() => random.Next(6) == 0 ? new string([.. Enumerable.Range(0, random.Next(4)).Select(_ => " \t\r\n"[random.Next(4)])]) : "";

    private string Pick(string[] from) => from[random.Next(from.Length)];
}
