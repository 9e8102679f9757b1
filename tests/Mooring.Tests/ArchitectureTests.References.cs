using System.Reflection;
using System.Reflection.Emit;

namespace Mooring.Tests;

/// <content>Finds what a type uses, signatures and bodies of its methods included.</content>
public sealed partial class ArchitectureTests
{
    private static class References
    {
        private const BindingFlags Own = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

        private static readonly Dictionary<short, OpCode> Codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

        public static IReadOnlyCollection<Type> Of(Type type)
        {
            var found = new HashSet<Type>();
            Add(found, type.BaseType);
            foreach (var contract in type.GetInterfaces())
            {
                Add(found, contract);
            }

            foreach (var field in type.GetFields(Own))
            {
                Add(found, field.FieldType);
            }

            foreach (var method in type.GetMethods(Own).Cast<MethodBase>().Concat(type.GetConstructors(Own)))
            {
                AddMethod(found, method);
            }

            return found;
        }

        private static void AddMethod(HashSet<Type> found, MethodBase method)
        {
            AddSignature(found, method);
            if (method.GetMethodBody() is not { } body)
            {
                return;
            }

            foreach (var local in body.LocalVariables)
            {
                Add(found, local.LocalType);
            }

            foreach (var (_, _, token) in Instructions(method).Where(i => i.Code.OperandType is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType))
            {
                switch (Resolve(method, token))
                {
                    case Type type:
                        Add(found, type);
                        break;
                    case FieldInfo field:
                        Add(found, field.DeclaringType);
                        Add(found, field.FieldType);
                        break;
                    case MethodBase called:
                        Add(found, called.DeclaringType);
                        AddSignature(found, called);
                        break;
                }
            }
        }

        private static void AddSignature(HashSet<Type> found, MethodBase method)
        {
            foreach (var parameter in method.GetParameters())
            {
                Add(found, parameter.ParameterType);
            }

            if (method is MethodInfo { ReturnType: var result })
            {
                Add(found, result);
            }

            foreach (var argument in method.IsGenericMethod ? method.GetGenericArguments() : [])
            {
                Add(found, argument);
            }
        }

        private static void Add(HashSet<Type> found, Type? type)
        {
            while (type is { HasElementType: true })
            {
                type = type.GetElementType();
            }

            if (type is null || type.IsGenericParameter)
            {
                return;
            }

            foreach (var argument in type.IsGenericType && !type.IsGenericTypeDefinition ? type.GetGenericArguments() : [])
            {
                Add(found, argument);
            }

            found.Add(type.IsGenericType ? type.GetGenericTypeDefinition() : type);
        }

        /// <summary>What a member's code refers to; null where that is not here.</summary>
        public static MemberInfo? Resolve(MethodBase method, int token)
        {
            var typeArguments = method.DeclaringType is { IsGenericType: true } generic ? generic.GetGenericArguments() : null;
            return method.Module.ResolveMember(token, typeArguments, method.IsGenericMethod ? method.GetGenericArguments() : null);
        }

        /// <summary>The methods that a method calls, and whose result it throws away.</summary>
        public static IEnumerable<MethodBase> Dropped(MethodBase method)
        {
            var code = Instructions(method).ToList();
            var places = code.Select((instruction, index) => (instruction.At, index)).ToDictionary(place => place.At, place => place.index);
            for (var i = 0; i < code.Count; i++)
            {
                if (code[i].Code.Value == OpCodes.Call.Value || code[i].Code.Value == OpCodes.Callvirt.Value)
                {
                    var next = i + 1;
                    while (code[next].Code.Value == OpCodes.Br_S.Value || code[next].Code.Value == OpCodes.Br.Value)
                    {
                        next = places[code[next].Token];
                    }

                    if (code[next].Code.Value == OpCodes.Pop.Value && Resolve(method, code[i].Token) is MethodBase called)
                    {
                        yield return called;
                    }
                }
            }
        }

        /// <summary>A method's code (ECMA-335, partition III): where each instruction is, and what it refers to or the place it jumps to.</summary>
        public static IEnumerable<(int At, OpCode Code, int Token)> Instructions(MethodBase method)
        {
            var code = method.GetMethodBody()?.GetILAsByteArray() ?? [];
            for (var at = 0; at < code.Length;)
            {
                var begin = at;
                var op = Codes[code[at] == 0xFE ? (short)(0xFE00 | code[at + 1]) : code[at]];
                at += op.Size;
                var size = op.OperandType switch
                {
                    OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                    OperandType.InlineI8 or OperandType.InlineR => 8,
                    OperandType.InlineNone => 0,
                    OperandType.InlineVar => 2,
                    OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                    _ => 4,
                };
                var token = op.OperandType switch
                {
                    OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType => BitConverter.ToInt32(code, at),
                    OperandType.InlineBrTarget => at + 4 + BitConverter.ToInt32(code, at),
                    OperandType.ShortInlineBrTarget => at + 1 + (sbyte)code[at],
                    _ => 0,
                };
                at += size;
                yield return (begin, op, token);
            }
        }
    }
}
