/** CPU features that a program may have found at its start and goes on using after a restore. */

/**
 * Names as /proc/cpuinfo has them, of features that CPUID shows to user space and that change what a program
 * executes: C libraries, numpy, OpenSSL, V8 and the JVM choose code by them. What only the kernel uses is left
 * out, so that a newer kernel's bookkeeping flags refuse nothing.
 */
const x86UserFeatures = new RegExp(
  `^(${[
    "mmx|fxsr|pni|ssse3|sse\\w*|avx\\w*|amx_\\w+|fma|f16c|bmi[12]|abm|movbe|popcnt|adx",
    "aes|vaes|pclmulqdq|vpclmulqdq|gfni|sha_ni|sha512|sm3|sm4|rdrand|rdseed",
    "cmov|cx8|cx16|lahf_lm|rdtscp|rdpid|fsgsbase|clflush|clflushopt|clwb|cldemote",
    "xsave|xsaveopt|xsavec|xgetbv1|erms|fsrm|movdiri|movdir64b|serialize|waitpkg|rtm|tsxldtrk|ospke|prefetchw",
    "3dnow|3dnowext|sse4a|xop|fma4|tbm|cmpccxadd|raoint|user_shstk|hreset|enqcmd|clzero|monitorx|mwaitx",
  ].join("|")})$`,
);

/** All features of the first processor, in the kernel's order. Empty when the text has none. */
export function parseCpuInfo(text: string): string[] {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1] ?? "";
  return line.split(/\s+/).filter((feature) => feature !== "");
}

/** Those that a restore needs. On aarch64 each feature of the list is one that user space sees. */
export function requiredFeatures(features: readonly string[], architecture: string): string[] {
  const needed = architecture === "x86_64" ? features.filter((name) => x86UserFeatures.test(name)) : features;
  return [...new Set(needed)].sort();
}
