using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mooring.Configuration;

/// <summary>Writes <c>mooring.schema.json</c> from the table of settings.</summary>
internal static class ConfigSchema
{
    private static readonly JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        // A file for people: quotation marks and brackets as they are.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static string Write()
    {
        var schema = Settings.Root.Schema();
        // Draft 7 is what editors understand best.
        schema.Insert(0, "$schema", "http://json-schema.org/draft-07/schema#");
        schema.Insert(1, "title", "Mooring configuration");
        schema.Insert(2, "description",
            "Durations are written 15s, 500ms, 1h30m, 2d; sizes 256kB, 4MB (1 kB is 1,024 bytes). ${NAME} and ${file:/path} inside a string are replaced.");
        return schema.ToJsonString(Options) + "\n";
    }
}
