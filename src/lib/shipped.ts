/**
 * What a release has beside its programs: below `src` in a checkout, below `dist` once it is built. There a program is
 * one file in `dist/bin`, with this module in it, as deep as it is here.
 */
export const shipped = (path: string) => new URL(`../${path}`, import.meta.url);
