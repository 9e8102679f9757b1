using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class ConfigSchemaTests
{
    private static string SchemaFile
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "Mooring.slnx")))
            {
                folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside a checkout.");
            }

            return Path.Combine(folder.FullName, "mooring.schema.json");
        }
    }

    [Fact]
    public void Schema_InTheCheckout_IsInStepWithTheTable()
    {
        var schema = ConfigSchema.Write();
        if (Environment.GetEnvironmentVariable("WRITE_SCHEMA") == "1")
        {
            File.WriteAllText(SchemaFile, schema);
        }

        Assert.True(schema == File.ReadAllText(SchemaFile), "mooring.schema.json is out of step; run this test with WRITE_SCHEMA=1 and commit it.");
    }

    [Fact]
    public void Schema_Defaults_LoadAsThemselves()
    {
        using var fixture = new ConfigFixture();
        var written = Defaults((JsonObject)JsonNode.Parse(ConfigSchema.Write())!);
        written["connectors"] = new JsonObject();

        var result = fixture.Load(written.ToJsonString());

        Assert.Empty(result.Problems);
        var changes = new List<SettingChange>();
        Settings.Root.Compare(new MooringConfig(), result.Config!, "", changes);
        Assert.Empty(changes);
        Assert.Equal("15s", (string?)written["keepAlive"]!["interval"]);
    }

    /// <summary>What a file with every default written out would hold.</summary>
    private static JsonObject Defaults(JsonObject schema)
    {
        var result = new JsonObject();
        foreach (var (name, property) in schema["properties"]!.AsObject())
        {
            if (property!["default"] is { } value)
            {
                result[name] = value.DeepClone();
            }
            else if (property["properties"] is not null && name is not ("tls" or "certificate"))
            {
                result[name] = Defaults(property.AsObject());
            }
        }

        return result;
    }

    [Fact]
    public void Schema_EveryProperty_HasADescription()
    {
        var bare = new List<string>();
        Collect(JsonNode.Parse(ConfigSchema.Write())!.AsObject(), "", bare);
        Assert.Empty(bare);

        static void Collect(JsonObject schema, string path, List<string> bare)
        {
            foreach (var (name, property) in schema["properties"]?.AsObject() ?? [])
            {
                if (string.IsNullOrEmpty((string?)property!["description"]))
                {
                    bare.Add($"{path}.{name}");
                }

                Collect(property.AsObject(), $"{path}.{name}", bare);
            }
        }
    }
}
