using System.Text;
using System.Text.Json;

namespace Mooring.Protocol;

/// <summary>
/// What a client says it can do, in the words that the protocol and the extensions known here have for it. Whoever uses these words means one of
/// a few things, however it writes them; everything else can be said in as many ways as there are texts.
/// </summary>
internal static partial class ClientCapabilities
{
    /// <summary>All words there are (ClientCapabilities of 2025-11-25 and 2026-07-28, and the extensions of the protocol's own). By name, as they are written.</summary>
    private static readonly Word All = Word.Of("",
        Word.Of("elicitation", Word.Of("form", Word.Flag("applyDefaults")), Word.Of("url")),
        Word.Group("experimental"),
        Word.Group("extensions",
            Word.Of("io.modelcontextprotocol/enterprise-managed-authorization"),
            Word.Of("io.modelcontextprotocol/oauth-client-credentials"),
            Word.Of("io.modelcontextprotocol/tasks"),
            Word.Of("io.modelcontextprotocol/ui", Word.Only("mimeTypes", "text/html;profile=mcp-app"))),
        Word.Of("roots", Word.Flag("listChanged")),
        Word.Of("sampling", Word.Of("context"), Word.Of("tools")),
        Word.Of("tasks",
            Word.Of("cancel"),
            Word.Of("list"),
            Word.Of("requests", Word.Of("elicitation", Word.Of("create")), Word.Of("sampling", Word.Of("createMessage")))));

    /// <summary>
    /// The same text for all that mean the same: sorted, without white space, and without what says nothing (a flag that is off, no extensions).
    /// </summary>
    /// <param name="capabilities">Raw JSON, well formed.</param>
    /// <returns>Null: something in it is none of the known words, or is said twice.</returns>
    public static string? Canonical(ReadOnlySpan<byte> capabilities)
    {
        var reader = new Utf8JsonReader(capabilities, JsonFields.AnyDepth);
        reader.Read();
        return All.Read(ref reader);
    }

    private enum Shape
    {
        /// <summary>An object that says something by being there.</summary>
        Object,

        /// <summary>An object that says only what is in it.</summary>
        Group,

        /// <summary>On or off; off says nothing.</summary>
        Flag,

        /// <summary>A list with one text in it.</summary>
        Only,
    }

    /// <param name="shape">What its value looks like.</param>
    /// <param name="name">As it is written.</param>
    /// <param name="text">The one text of an <see cref="Shape.Only"/>.</param>
    /// <param name="inner">What may stand in it.</param>
    private sealed class Word(Shape shape, string name, string text, Word[] inner)
    {
        private readonly byte[] _name = Encoding.ASCII.GetBytes(name);
        private readonly byte[] _text = Encoding.ASCII.GetBytes(text);

        public static Word Of(string name, params Word[] inner) => new(Shape.Object, name, "", inner);

        public static Word Group(string name, params Word[] inner) => new(Shape.Group, name, "", inner);

        public static Word Flag(string name) => new(Shape.Flag, name, "", []);

        public static Word Only(string name, string text) => new(Shape.Only, name, text, []);

        /// <summary>Reads the value that the reader stands on.</summary>
        /// <returns>As it is always written; empty: it says nothing; null: it is not known.</returns>
        public string? Read(ref Utf8JsonReader reader) => (shape, reader.TokenType) switch
        {
            (Shape.Flag, JsonTokenType.True) => "true",
            (Shape.Flag, JsonTokenType.False) => "",
            (Shape.Only, JsonTokenType.StartArray) => IsOnly(ref reader) ? $"[\"{text}\"]" : null,
            (Shape.Object or Shape.Group, JsonTokenType.StartObject) => ReadObject(ref reader),
            _ => null,
        };

        private bool IsOnly(ref Utf8JsonReader reader) =>
            reader.Read() && reader.TokenType == JsonTokenType.String && JsonText.IsKey(ref reader, _text) && reader.Read() && reader.TokenType == JsonTokenType.EndArray;

        private string? ReadObject(ref Utf8JsonReader reader)
        {
            var values = new string?[inner.Length];
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var at = IndexOf(ref reader);
                if (at < 0 || values[at] is not null)
                {
                    return null;
                }

                reader.Read();
                if (inner[at].Read(ref reader) is not { } value)
                {
                    return null;
                }

                values[at] = value;
            }

            var said = string.Join(',', inner.Zip(values).Where(one => !string.IsNullOrEmpty(one.Second)).Select(one => $"\"{one.First.Name}\":{one.Second}"));
            return shape == Shape.Group && said.Length == 0 ? "" : $"{{{said}}}";
        }

        private string Name => name;

        private int IndexOf(ref Utf8JsonReader reader)
        {
            for (var i = 0; i < inner.Length; i++)
            {
                if (JsonText.IsKey(ref reader, inner[i]._name))
                {
                    return i;
                }
            }

            return -1;
        }
    }
}
