/** Labels that the registry gives to a sandbox on its node. Sandboxes without the first are none of its business. */
export const requestLabel = "registry.request";
/** Id of the team, for people who look at the node. */
export const teamLabel = "registry.team";
