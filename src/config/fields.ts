/** Schemas that both configurations use. */
import { z } from "zod";
import { readAddress } from "../lib/address.js";

export const absolutePath = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");

export const addressText = z
  .string()
  .refine((text) => readAddress(text) !== undefined, "must be HOST:PORT, an IPv6 host in brackets");
