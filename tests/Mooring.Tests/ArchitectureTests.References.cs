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
            if (method.GetMethodBody() is not { } body || body.GetILAsByteArray() is not { } code)
            {
                return;
            }

            foreach (var local in body.LocalVariables)
            {
                Add(found, local.LocalType);
            }

            foreach (var token in Tokens(code))
            {
                var typeArguments = method.DeclaringType is { IsGenericType: true } generic ? generic.GetGenericArguments() : null;
                var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
                switch (method.Module.ResolveMember(token, typeArguments, methodArguments))
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

        /// <summary>The metadata tokens in a method's code (ECMA-335, partition III).</summary>
        private static IEnumerable<int> Tokens(byte[] code)
        {
            for (var at = 0; at < code.Length;)
            {
                var value = code[at] == 0xFE ? (short)(0xFE00 | code[at + 1]) : code[at];
                var op = Codes[value];
                at += op.Size;
                switch (op.OperandType)
                {
                    case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                        yield return BitConverter.ToInt32(code, at);
                        at += 4;
                        break;
                    case OperandType.InlineSwitch:
                        at += 4 + (4 * BitConverter.ToInt32(code, at));
                        break;
                    case OperandType.InlineI8 or OperandType.InlineR:
                        at += 8;
                        break;
                    case OperandType.InlineNone:
                        break;
                    case OperandType.InlineVar:
                        at += 2;
                        break;
                    case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                        at += 1;
                        break;
                    default:
                        at += 4;
                        break;
                }
            }
        }
    }
}
