using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>One row of the table: a setting of <typeparamref name="TOwner"/>.</summary>
internal abstract class Field<TOwner>(string name, string doc)
{
    public string Name { get; } = name;

    /// <summary>What it does, for the schema.</summary>
    public string Doc { get; } = doc;

    public abstract Shape? Shape { get; }

    /// <summary>Reads the value into the owner; on a problem the owner stays as it is.</summary>
    public abstract TOwner Read(TOwner owner, ConfigNode node, string path, ConfigReading reading);

    /// <summary>Null leaves the setting out of the schema.</summary>
    public abstract JsonObject? Schema(TOwner defaults);

    public virtual void NoteDefault(string path, ConfigReading reading)
    {
    }

    /// <summary>Adds the settings that differ, and returns <paramref name="next"/> with those put back that only a restart can change.</summary>
    public virtual TOwner Compare(TOwner old, TOwner next, string path, List<SettingChange> changes) => next;
}

/// <summary>A setting that a reload changed.</summary>
internal readonly record struct SettingChange(string Path, bool NeedsRestart);

/// <summary>A setting with a place in the record.</summary>
internal sealed class ValueField<TOwner, TValue>(
    string name,
    Shape<TValue> shape,
    Func<TOwner, TValue?> get,
    Func<TOwner, TValue, TOwner> set,
    string doc,
    bool restart) : Field<TOwner>(name, doc)
{
    public override Shape Shape => shape;

    public override TOwner Read(TOwner owner, ConfigNode node, string path, ConfigReading reading)
    {
        // Sections note the origin of what is in them, and need no line of their own.
        if (shape is not ObjectShape<TValue>)
        {
            reading.CameFrom(path, node.Origin);
        }

        return shape.TryRead(node, path, reading, out var value) ? set(owner, value) : owner;
    }

    public override void NoteDefault(string path, ConfigReading reading)
    {
        if (!shape.NoteDefaults(path, reading))
        {
            reading.CameFrom(path, ConfigSource.Default);
        }
    }

    public override JsonObject Schema(TOwner defaults)
    {
        var schema = shape.Schema();
        schema["description"] = restart ? Doc + " A change needs a restart." : Doc;
        if (shape is not ObjectShape<TValue> && get(defaults) is { } value && shape.Write(value) is { } written)
        {
            schema["default"] = written;
        }

        return schema;
    }

    public override TOwner Compare(TOwner old, TOwner next, string path, List<SettingChange> changes)
    {
        var (before, after) = (get(old), get(next));
        if (!restart && shape is ObjectShape<TValue> section && before is not null && after is not null)
        {
            return set(next, section.Compare(before, after, path, changes));
        }

        if (shape.Same(before, after))
        {
            return next;
        }

        changes.Add(new(path, restart));
        // A value that was absent has no way back through a setter that takes values only; the record then shows the new one.
        return restart && before is not null ? set(next, before) : next;
    }
}

/// <summary>A setting that is read into another one's place, for example by another name for it.</summary>
internal sealed class ExtraField<TOwner, TValue>(
    string name, Shape<TValue> shape, Func<TOwner, TValue, TOwner> set, string doc) : Field<TOwner>(name, doc)
{
    public override Shape Shape => shape;

    public override TOwner Read(TOwner owner, ConfigNode node, string path, ConfigReading reading)
    {
        reading.CameFrom(path, node.Origin);
        return shape.TryRead(node, path, reading, out var value) ? set(owner, value) : owner;
    }

    public override JsonObject Schema(TOwner defaults)
    {
        var schema = shape.Schema();
        schema["description"] = Doc;
        return schema;
    }
}

/// <summary>A setting that is known but whose part is not built: never ignored in silence.</summary>
internal sealed class NotYetField<TOwner>(string name, string doc) : Field<TOwner>(name, doc)
{
    public override Shape? Shape => null;

    public override TOwner Read(TOwner owner, ConfigNode node, string path, ConfigReading reading)
    {
        reading.Error(path, node.Line, $"is not available in this version ({Doc}).");
        return owner;
    }

    public override JsonObject? Schema(TOwner defaults) => null;
}

/// <summary>A key that other programs write into the same files and that means nothing here.</summary>
internal sealed class ForeignField<TOwner>(string name, string doc, bool silent) : Field<TOwner>(name, doc)
{
    public override Shape? Shape => null;

    public override TOwner Read(TOwner owner, ConfigNode node, string path, ConfigReading reading)
    {
        if (!silent)
        {
            reading.Warn(path, node.Line, $"has no effect here: {Doc}.");
        }

        return owner;
    }

    public override JsonObject Schema(TOwner defaults) => new() { ["description"] = $"No effect here: {Doc}." };
}
